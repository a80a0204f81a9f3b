/**
 * What the libraries ask of a logger. pino fits as it is.
 * The text is fixed and can be searched for; what varies goes into the fields.
 */
export interface Logger {
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

const ignore = () => {}

/** The default of every library: says nothing. */
export const silent: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }

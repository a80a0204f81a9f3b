/**
 * The logger that the libraries expect. A pino logger fits without an adapter.
 * The text is constant, so that it can be searched for; variable parts go into the fields.
 */
export interface Logger {
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
}

const ignore = () => {}

/** The default of every library: logs nothing. */
export const silent: Logger = { debug: ignore, info: ignore, warn: ignore, error: ignore }

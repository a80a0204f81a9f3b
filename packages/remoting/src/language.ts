/**
 * The sender's language: a name in JSON headers, its index here as a byte in binary headers.
 * Order and spelling as in Apache's LanguageCode; NODE_JS is known only to 5.x.
 */
export const languages = [
  'JAVA',
  'CPP',
  'DOTNET',
  'PYTHON',
  'DELPHI',
  'ERLANG',
  'RUBY',
  'OTHER',
  'HTTP',
  'GO',
  'PHP',
  'OMS',
  'RUST',
  'NODE_JS',
] as const

export type Language = (typeof languages)[number]

/** The language for the byte in a binary header; undefined if no language has this number. */
export function languageOf(byte: number): Language | undefined {
  return languages[byte]
}

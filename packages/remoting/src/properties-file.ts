import { RemotingError } from './errors.ts'

/** One key of a properties file. */
export interface PropertyEntry {
  readonly key: string
  readonly value: string
  /** The value as it is written in the file, with its escapes. */
  readonly written: string
  /** The line its key begins on, counted from 1. */
  readonly line: number
}

const UTF8_MARK = [0xef, 0xbb, 0xbf]

/** Whether a file begins with the byte order mark that some editors put before UTF-8. */
export function hasByteOrderMark(bytes: Uint8Array): boolean {
  return UTF8_MARK.every((byte, at) => bytes[at] === byte)
}

/**
 * Reads a `.properties` text as java.util.Properties does: every entry in the order of the file, duplicates included.
 * Java reads a stream as ISO-8859-1 and a Reader in its own encoding; RocketMQ uses a stream.
 * A byte order mark, which Java takes for a part of the first key, is skipped.
 * @throws RemotingError BAD_OPTION with the line of a malformed `\u` escape, or if the text is UTF-16.
 */
export function readProperties(bytes: Uint8Array, encoding: 'latin1' | 'utf8' = 'latin1'): PropertyEntry[] {
  if (isUtf16(bytes)) throw new RemotingError('BAD_OPTION', 'it is UTF-16: save it as UTF-8, or as plain ASCII')
  const content = hasByteOrderMark(bytes) ? bytes.subarray(UTF8_MARK.length) : bytes
  const text = Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString(encoding)
  return logicalLines(text).map(entryOf)
}

// With its byte order mark, or with a zero byte in the first character, as each ASCII character has.
function isUtf16([first, second]: Uint8Array): boolean {
  if (first === undefined || second === undefined) return false
  return (first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff) || (first === 0) !== (second === 0)
}

/** What to write instead of a backslash that Java drops. Completes "...: ". */
export const BACKSLASH_ADVICE =
  'a backslash escapes the next character in this file; in a path, write / or \\\\ for each one'

/** Whether a written value has a backslash that is not part of it any more when it is read, as in `C:\data`. */
export function losesBackslash(written: string): boolean {
  return /\\/.test(written.replace(/\\(?:u[0-9a-fA-F]{4}|[\\ :=#!])/g, ''))
}

/** The effective entries: of several with the same key, the last counts. */
export function latestProperties(entries: Iterable<PropertyEntry>): Map<string, PropertyEntry> {
  const latest = new Map<string, PropertyEntry>()
  for (const entry of entries) {
    latest.delete(entry.key)
    latest.set(entry.key, entry)
  }
  return latest
}

/** Text that java.util.Properties reads back as exactly these keys and values, whatever they contain. ASCII only. */
export function writeProperties(properties: Iterable<readonly [key: string, value: string]>): string {
  let text = ''
  for (const [key, value] of properties) text += `${escapeKey(key)}=${escapeValue(value)}\n`
  return text
}

interface LogicalLine {
  readonly text: string
  readonly line: number
}

/** Joins continued lines and drops blank ones and comments (Java's Properties.LineReader, as of JDK 17). */
function logicalLines(text: string): LogicalLine[] {
  const lines: LogicalLine[] = []
  let begun: { readonly parts: string[]; readonly line: number } | undefined
  const end = () => {
    // Joined at the end: a file may be one line that is continued a million times.
    if (begun) lines.push({ text: begun.parts.join(''), line: begun.line })
    begun = undefined
  }
  for (const [index, natural] of naturalLines(text).entries()) {
    const content = natural.replace(/^[ \t\f]+/, '')
    const isFirst = begun === undefined || begun.parts.length === 0
    // Java still recognises a comment after a line that holds only a backslash.
    if (isFirst && /^(?:$|[#!])/.test(content)) begun = undefined
    else {
      begun ??= { parts: [], line: index + 1 }
      const goesOn = continues(content)
      const part = goesOn ? content.slice(0, -1) : content
      if (part !== '') begun.parts.push(part)
      if (!goesOn) end()
    }
  }
  end()
  return lines
}

function naturalLines(text: string): string[] {
  const lines = text.split(/\r\n|\r|\n/)
  if (lines.at(-1) === '') lines.pop()
  return lines
}

function continues(content: string): boolean {
  let backslashes = 0
  while (content[content.length - 1 - backslashes] === '\\') backslashes++
  return backslashes % 2 === 1
}

const KEY = /^(?:[^\\=: \t\f]|\\[^])*/
const SEPARATOR = /^[ \t\f]*[=:]?[ \t\f]*/

function entryOf({ text, line }: LogicalLine): PropertyEntry {
  const key = KEY.exec(text)?.[0] ?? ''
  const rest = text.slice(key.length)
  const value = rest.slice(SEPARATOR.exec(rest)?.[0].length)
  return { key: unescape(key, line), value: unescape(value, line), written: value, line }
}

const NAMED_ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function unescape(text: string, line: number): string {
  if (!text.includes('\\')) return text
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|([^]?))/g, (_, hex: string | undefined, other: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
    if (other === 'u')
      throw new RemotingError(
        'BAD_OPTION',
        `line ${line}: \\u must be followed by four hex digits; ${BACKSLASH_ADVICE}`,
      )
    return NAMED_ESCAPES[other] ?? other
  })
}

const NAMES_OF_ESCAPES = new Map(Object.entries(NAMED_ESCAPES).map(([name, character]) => [character, name]))

function escapeKey(key: string): string {
  return escapeSpecial(key).replaceAll(' ', '\\ ')
}

function escapeValue(value: string): string {
  return escapeSpecial(value).replace(/^ /, '\\ ')
}

function escapeSpecial(text: string): string {
  return text.replace(/[\\=:#!]|[^ -~]/g, character => {
    if (character >= ' ' && character <= '~') return `\\${character}`
    const name = NAMES_OF_ESCAPES.get(character)
    return name === undefined ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : `\\${name}`
  })
}

import { RemotingError } from './errors.ts'

/** One key of a properties file. */
export interface PropertyEntry {
  readonly key: string
  readonly value: string
  /** The line its key begins on, counted from 1. */
  readonly line: number
}

/**
 * Reads a `.properties` text as java.util.Properties does: every entry in the order of the file, duplicates included.
 * Java reads a stream as ISO-8859-1 and a Reader in its own encoding; RocketMQ uses a stream.
 * @throws RemotingError BAD_OPTION with the line of a malformed `\u` escape.
 */
export function readProperties(bytes: Uint8Array, encoding: 'latin1' | 'utf8' = 'latin1'): PropertyEntry[] {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding)
  return logicalLines(encoding === 'utf8' && text.startsWith('\ufeff') ? text.slice(1) : text).map(entryOf)
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
  let begun: LogicalLine | undefined
  for (const [index, natural] of naturalLines(text).entries()) {
    const content = natural.replace(/^[ \t\f]+/, '')
    const before = begun?.text ?? ''
    // Java still recognises a comment after a line that holds only a backslash.
    if (before === '' && /^(?:$|[#!])/.test(content)) begun = undefined
    else {
      const line = { text: before + content, line: begun?.line ?? index + 1 }
      begun = continues(content) ? { ...line, text: line.text.slice(0, -1) } : undefined
      if (begun === undefined) lines.push(line)
    }
  }
  if (begun !== undefined) lines.push(begun)
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
  return { key: unescape(key, line), value: unescape(value, line), line }
}

const NAMED_ESCAPES: Readonly<Record<string, string>> = { t: '\t', n: '\n', r: '\r', f: '\f' }

function unescape(text: string, line: number): string {
  if (!text.includes('\\')) return text
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|([^]?))/g, (_, hex: string | undefined, other: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
    if (other === 'u') throw new RemotingError('BAD_OPTION', `line ${line}: \\u must be followed by four hex digits`)
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

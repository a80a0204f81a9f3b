import { latestProperties, readProperties, writeProperties } from '@gantrymq/remoting'

/**
 * Sets keys in a `.properties` file and leaves everything else unchanged, including comments. An existing key keeps its
 * place; of several lines with the same key the last one stays. New keys are added at the end.
 * @throws RemotingError BAD_OPTION if the file cannot be read as properties.
 */
export function editProperties(file: Uint8Array, updates: ReadonlyMap<string, string>): Buffer {
  // ISO-8859-1 preserves every byte.
  const lines = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
    .toString('latin1')
    .split(/(?<=\n|\r(?!\n))/)
  const entries = readProperties(file).filter(({ key }) => updates.has(key))
  const latest = latestProperties(entries)
  for (const entry of entries) {
    const first = entry.line - 1
    const written = latest.get(entry.key) === entry ? writeProperties([[entry.key, updates.get(entry.key)!]]) : ''
    const last = lastLine(lines, first)
    for (let line = first; line <= last; line++) lines[line] = ''
    lines[first] = written
  }
  const added = writeProperties(Array.from(updates).filter(([key]) => !latest.has(key)))
  const text = lines.join('')
  const gap = text === '' || added === '' ? '' : gapAfter(text)
  return Buffer.from(text + gap + added, 'latin1')
}

/** An odd number of backslashes at the end: the next line continues this one. */
const CONTINUES = /(?<!\\)(?:\\\\)*\\[\r\n]*$/

// A blank line ends a line that would otherwise continue.
function gapAfter(text: string): string {
  if (CONTINUES.test(text)) return '\n\n'
  return /[\r\n]$/.test(text) ? '' : '\n'
}

function lastLine(lines: readonly string[], first: number): number {
  let line = first
  while (line + 1 < lines.length && CONTINUES.test(lines[line]!)) line++
  return line
}

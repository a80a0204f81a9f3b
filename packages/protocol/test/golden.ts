import { readFileSync } from 'node:fs'

/** Bytes written by Apache's own classes; see golden/README.md. */
export function golden(line: '4.9.7' | '5.5.0', name: string): Buffer {
  return readFileSync(new URL(`golden/${line}/${name}`, import.meta.url))
}

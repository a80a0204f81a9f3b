// The TypeScript files of the repository and their syntax trees, for the other scripts.
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { parseSync, type ParseResult } from 'oxc-parser'

/** The sorted paths of the TypeScript files in these folders, tracked or new, relative to the root of the repository. */
export function sourceFiles(...folders: string[]): string[] {
  const listing = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...folders])
  return [...new Set(listing.toString().split('\n'))].filter(path => path.endsWith('.ts') && existsSync(path)).sort()
}

export function isTest(path: string): boolean {
  return path.endsWith('.test.ts') || /^packages\/[^/]+\/test\//.test(path)
}

export interface Source {
  readonly path: string
  readonly text: string
  readonly syntax: ParseResult
}

/** @throws Error if the file does not parse. */
export function readSource(path: string): Source {
  const text = readFileSync(path, 'utf8')
  const syntax = parseSync(path, text)
  if (syntax.errors[0]) throw new Error(`${path}: ${syntax.errors[0].message}`)
  return { path, text, syntax }
}

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { globSync, readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { parseSync } from 'oxc-parser'

const run = promisify(execFile)
const work = resolve('.cache/public-types')

/** Bounds of type parameters that cannot be `unknown`. No value has these types. */
const bounds = [
  'client/src/options.d.ts: type AnyDeclaredOption = DeclaredOption<any>;',
  'remoting/src/fields.d.ts: export type AnyField = RequiredField<any> | OptionalField<any> | DefaultedField<any>;',
  'remoting/src/request.d.ts: readonly body?: BodyCodec<any>;',
  'remoting/src/request.d.ts: readonly header?: HeaderCodec<any>;',
]

/** The offsets of `any` in a syntax tree. */
function offsetsOfAny(node: unknown): number[] {
  if (typeof node !== 'object' || node === null) return []
  const { type, start } = node as { readonly type?: unknown; readonly start?: number }
  if (type === 'TSAnyKeyword') return [start ?? 0]
  return Object.values(node).flatMap(offsetsOfAny)
}

/** The lines of a declaration file that contain the type `any`. */
function linesWithAny(file: string): string[] {
  const text = readFileSync(join(work, file), 'utf8')
  const lines = offsetsOfAny(parseSync(file, text).program).map(
    offset => text.slice(text.lastIndexOf('\n', offset) + 1, text.indexOf('\n', offset)).trim(), // biome-ignore format: one thought
  )
  return [...new Set(lines)].map(line => `${file}: ${line}`)
}

test('no public type of the client is any', async t => {
  t.after(() => rmSync(work, { recursive: true, force: true }))
  const options = ['--declaration', '--emitDeclarationOnly', '--noUnusedLocals', 'false', '--noCheck']
  await run('tsc', ['-p', 'tsconfig.build.json', ...options, '--outDir', work])
  const files = globSync('{client,remoting,protocol}/src/**/*.d.ts', { cwd: work }).sort()
  assert.ok(files.length > 100)
  assert.deepEqual(files.flatMap(linesWithAny).sort(), bounds)
})

import { encodeInSlices } from '@gantrymq/daemon'
import { type Sliced, writeFastjson } from '@gantrymq/remoting'

/** Entries of a namespace never change: a change makes a new map. */
const bodies = new WeakMap<ReadonlyMap<string, string>, readonly Buffer[]>()

/**
 * The encoded entries of a namespace of the KV configuration: Apache's KVTable. They are encoded once, for all queries and
 * for all registrations, whose answers contain the order configuration.
 */
export function* kvBodyOf(entries: ReadonlyMap<string, string>): Sliced<readonly Buffer[]> {
  const known = bodies.get(entries)
  if (known !== undefined) return known
  const body = yield* encodeInSlices(piecesOf(entries))
  bodies.set(entries, body)
  return body
}

function* piecesOf(entries: ReadonlyMap<string, string>): Generator<string, void, void> {
  yield '{"table":{'
  let comma = ''
  for (const [key, value] of entries) {
    yield `${comma}${writeFastjson(key, 'fastjson')}:${writeFastjson(value, 'fastjson')}`
    comma = ','
  }
  yield '}}'
}

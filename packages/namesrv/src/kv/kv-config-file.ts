import { encodeInSlices, loadTable } from '@gantrymq/daemon'
import {
  type JsonInput,
  type JsonObject,
  type JsonValue,
  type Logger,
  readFastjson,
  type Sliced,
  writeFastjson,
} from '@gantrymq/remoting'
import { KvConfig } from './kv-config.ts'

/** The file's text, in slices: one line of JSON, as Apache's KVConfigSerializeWrapper. */
export function writeKvConfig(config: KvConfig): Sliced<Buffer[]> {
  return encodeInSlices(piecesOf(config))
}

function* piecesOf(config: KvConfig): Generator<string, void, void> {
  let before = '{"configTable":{'
  for (const [name, entries] of config.namespaces()) {
    before += `${JSON.stringify(name)}:{`
    for (const [key, value] of entries) {
      yield `${before}${JSON.stringify(key)}:${JSON.stringify(value)}`
      before = ','
    }
    // Of a namespace without entries, the beginning is still to be written.
    yield `${before === ',' ? '' : before}}`
    before = ','
  }
  yield `${before === ',' ? '' : before}}}`
}

/**
 * Reads the file's text as leniently as Apache: everything that fastjson reads. Empty text, blanks, `null` and `[]` are
 * an empty table; values that are not strings become strings; a namespace or value that is null counts as absent. `{}`,
 * with which Apache cannot start, is an empty table too.
 * @throws Error that says what is wrong with the text.
 */
export function readKvConfig(text: string): KvConfig {
  if (text.trim() === '') return new KvConfig()
  const whole = parse(text)
  if (whole === null || (Array.isArray(whole) && whole.length === 0)) return new KvConfig()
  if (!isObject(whole)) throw new Error('it is not a JSON object')
  const table = whole.get('configTable')
  if (table === undefined && whole.size > 0) throw new Error('it has no member configTable')
  if (table === undefined || table === null) return new KvConfig()
  if (!isObject(table)) throw new Error('its configTable is not an object')
  const namespaces = new Map<string, ReadonlyMap<string, string>>()
  for (const [name, value] of table) {
    if (value !== null) namespaces.set(asText(name), readNamespace(asText(name), value))
  }
  return new KvConfig(namespaces)
}

// Gantry and Apache write plain JSON, which JSON.parse reads back exactly; a file edited by hand may be looser.
function parse(text: string): JsonValue {
  try {
    return JSON.parse(text, revive) as JsonValue
  } catch {
    return readFastjson(text)
  }
}

/** Turns objects into Maps, and numbers into the text they were written as. */
function revive(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value === 'number') return context?.source ?? String(value)
  const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isPlain ? new Map(Object.entries(value)) : value
}

function readNamespace(name: string, value: JsonValue): Map<string, string> {
  if (!isObject(value)) throw new Error(`the namespace ${JSON.stringify(name)} is not an object`)
  const entries = new Map<string, string>()
  for (const [key, item] of value) if (item !== null) entries.set(asText(key), asText(item))
  return entries
}

function asText(value: JsonValue): string {
  return typeof value === 'string' ? value : writeFastjson(value as JsonInput, 'standard')
}

function isObject(value: JsonValue): value is JsonObject {
  return value instanceof Map
}

export interface LoadOptions {
  readonly log?: Logger
  /** Milliseconds since the epoch, for the names of files put aside. */
  readonly now: number
}

/**
 * Reads the KV file at the start, or the file that a crash of Apache left beside it.
 * @throws Error if the file exists but can neither be read nor put aside. The caller must not write to it then.
 */
export function loadKvConfig(path: string, options: LoadOptions): Promise<KvConfig> {
  return loadTable(path, readKvConfig, { what: 'KV config', entriesOf: config => config.entries, ...options })
}

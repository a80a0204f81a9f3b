import { readFile, rm } from 'node:fs/promises'
import {
  type JsonInput,
  type JsonObject,
  type JsonValue,
  type Logger,
  readFastjson,
  silent,
  writeFastjson,
} from '@gantrymq/remoting'
import { moveAside, removeLeftovers, replaceFile } from '../atomic-file.ts'
import { KvConfig } from './kv-config.ts'

/** The file's text: one line of JSON, as Apache's KVConfigSerializeWrapper. */
export function writeKvConfig(config: KvConfig): string {
  const namespaces: string[] = []
  for (const [name, entries] of config.namespaces()) {
    const members = Array.from(entries, ([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
    namespaces.push(`${JSON.stringify(name)}:{${members.join(',')}}`)
  }
  return `{"configTable":{${namespaces.join(',')}}}`
}

/**
 * Reads the file's text with Apache's oddities: all that fastjson reads; nothing at all, blanks, `null` and `[]` are an
 * empty table, values that are not text become text, a namespace or value that is null counts as absent. `{}`, which
 * Apache cannot start with, is empty too.
 * @throws Error that says in what way it is something else.
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

// What we and Apache write is plain JSON, and comes back to the last character; what people write need not be.
function parse(text: string): JsonValue {
  try {
    return JSON.parse(text, revive) as JsonValue
  } catch {
    return readFastjson(text)
  }
}

/** Objects become Maps, numbers the text they were written with. */
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
 * Reads the KV file at the start.
 *
 * A file that cannot be understood is put aside as `<file>.corrupt-<time>` and the last good state takes its place:
 * Apache 5.x overwrites its file in place and leaves the state before in `<file>.bak`; Apache 4.9 deletes its file
 * before it renames `<file>.tmp`. Where there is neither, the table is empty. All of it is logged.
 * @throws Error if there is a file and it cannot be read, or not be put aside: then nothing may be written either.
 */
export async function loadKvConfig(path: string, { log = silent, now }: LoadOptions): Promise<KvConfig> {
  await removeLeftovers(path)
  const text = await readText(path)
  if (text === undefined) return recoverMissing(path, log)
  if (text.trim() === '') return (await recover(path, `${path}.bak`, 'is empty', log)) ?? new KvConfig()
  try {
    const config = readKvConfig(text)
    log.info({ path, entries: config.entries }, 'load KV config table OK')
    return config
  } catch (error) {
    const reason = (error as Error).message
    const aside = await putAside(path, reason, now)
    log.error({ path, aside, reason }, 'the KV config file cannot be understood and was put aside')
    const recovered = await recover(path, `${path}.bak`, 'was put aside', log)
    if (recovered === undefined) log.error({ path, aside }, 'the KV config table is empty; mend the file put aside')
    return recovered ?? new KvConfig()
  }
}

// A crash of Apache 4.9 between its delete and its rename. Taken once: who deletes the file wants an empty table.
async function recoverMissing(path: string, log: Logger): Promise<KvConfig> {
  const recovered = await recover(path, `${path}.tmp`, 'is missing', log)
  if (recovered !== undefined) await rm(`${path}.tmp`, { force: true })
  return recovered ?? new KvConfig()
}

async function readText(path: string): Promise<string | undefined> {
  try {
    return new TextDecoder().decode(await readFile(path))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new Error(`the KV config file ${path} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

async function putAside(path: string, reason: string, now: number): Promise<string> {
  try {
    return await moveAside(path, 'corrupt', now)
  } catch (error) {
    const why = (error as Error).message
    throw new Error(`the KV config file ${path} cannot be understood (${reason}) nor put aside: ${why}`, {
      cause: error,
    })
  }
}

/** The table in a file that was left beside the KV file, written back at once; undefined if there is none or it is empty. */
async function recover(path: string, from: string, because: string, log: Logger): Promise<KvConfig | undefined> {
  let config: KvConfig
  try {
    const text = await readText(from)
    if (text === undefined) return undefined
    config = readKvConfig(text)
  } catch (error) {
    log.warn({ path: from, reason: (error as Error).message }, 'this copy of the KV config table cannot be used')
    return undefined
  }
  if (config.entries === 0) return undefined
  log.warn({ path, from, because, entries: config.entries }, 'the KV config table was taken from a copy')
  await replaceFile(path, writeKvConfig(config))
  return config
}

import { createHash } from 'node:crypto'
import { type InstanceOptions, instanceOptions } from './instance-options.ts'

/** The options that instances are made of, without those of a producer's or consumer's own. */
export function onlyShared(given: InstanceOptions): InstanceOptions {
  const names = Object.keys(instanceOptions) as (keyof InstanceOptions)[]
  return Object.freeze(Object.fromEntries(names.map(name => [name, given[name]]))) as InstanceOptions
}

/** Text that is the same for options that may share an instance. It shows nothing of them, as there are secrets among them. */
export function shareKey(options: InstanceOptions): string {
  return createHash('sha256')
    .update(wordOf(deciding(options), 0))
    .digest('base64')
}

function deciding(options: InstanceOptions): object {
  const { log, clock } = options
  // Two that look alike may still write to different places.
  if (options.instanceName === '') return { ...options, log: markOf(log), clock: markOf(clock) }
  // A name is shared whatever the timeouts and loggers, but not across clusters and namespaces or by who shows other credentials
  // or adds fields of his own.
  const { clientIp, instanceName, unitName, nameServers, credentials, onRequest, tls } = options
  const { namespace, namespaceV2, zone, zoneMode } = options
  const access = { nameServers, credentials, onRequest, tls }
  return { clientIp, instanceName, unitName, ...access, namespace, namespaceV2, zone, zoneMode }
}

// What is not a plain value is the same only if it is the same object.
const marks = new WeakMap<object, number>()
let lastMark = 0

function markOf(value: object): number {
  const mark = marks.get(value) ?? ++lastMark
  marks.set(value, mark)
  return mark
}

const DEEPEST = 4

function wordOf(value: unknown, depth: number): string {
  if (typeof value === 'function') return `#${markOf(value)}`
  if (typeof value !== 'object' || value === null)
    return typeof value === 'string' ? JSON.stringify(value) : String(value)
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('base64')}`
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
  if (!isPlain || depth >= DEEPEST) return `#${markOf(value)}`
  const parts = Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}:${wordOf(each, depth + 1)}`)
  return `{${parts.toSorted().join()}}`
}

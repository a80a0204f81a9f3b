import { createHash } from 'node:crypto'
import { type InstanceOptions, instanceOptions } from './instance-options.ts'

/** The options of an instance, without those that only a producer or a consumer has. */
export function sharedOptions(given: InstanceOptions): InstanceOptions {
  const names = Object.keys(instanceOptions) as (keyof InstanceOptions)[]
  return Object.freeze(Object.fromEntries(names.map(name => [name, given[name]]))) as InstanceOptions
}

/** A string that is equal for options that may share an instance. It is a digest, because the options contain secrets. */
export function instanceKey(options: InstanceOptions): string {
  return createHash('sha256')
    .update(textOf(decisive(options), 0))
    .digest('base64')
}

function decisive(options: InstanceOptions): object {
  const { log, clock } = options
  // Two loggers that look alike may write to different files.
  if (options.instanceName === '') return { ...options, log: log === false ? 0 : numberOf(log), clock: numberOf(clock) }
  // Users with the same name share whatever their timeouts and loggers are, but not with other clusters, namespaces,
  // credentials or added fields.
  const { clientIp, instanceName, unitName, nameServers, credentials, onRequest, tls } = options
  const { namespace, namespaceV2, zone, zoneMode } = options
  const access = { nameServers, credentials, onRequest, tls }
  return { clientIp, instanceName, unitName, ...access, namespace, namespaceV2, zone, zoneMode }
}

// What is not plain data is equal only if it is the same object.
const numbers = new WeakMap<object, number>()
let lastNumber = 0

function numberOf(value: object): number {
  const number = numbers.get(value) ?? ++lastNumber
  numbers.set(value, number)
  return number
}

const MAX_DEPTH = 4

function textOf(value: unknown, depth: number): string {
  if (typeof value === 'function') return `#${numberOf(value)}`
  if (typeof value !== 'object' || value === null)
    return typeof value === 'string' ? JSON.stringify(value) : String(value)
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('base64')}`
  const isPlain = Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype
  if (!isPlain || depth >= MAX_DEPTH) return `#${numberOf(value)}`
  const parts = Object.entries(value).map(([name, each]) => `${JSON.stringify(name)}:${textOf(each, depth + 1)}`)
  return `{${parts.toSorted().join()}}`
}

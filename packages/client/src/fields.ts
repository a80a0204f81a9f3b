import { nearestWord } from '@gantrymq/remoting'
import { ClientError } from './errors.ts'

/** What a value of a caller has to be. A caller without types may pass anything. */
export interface Rule {
  /** As the end of "must be ...". */
  readonly expected: string
  readonly accepts: (value: unknown) => boolean
  /** True if the value may be undefined. */
  readonly isOptional?: boolean
  /** For an object: its fields. Others are refused. */
  readonly fields?: FieldTable
}

/** The fields of an object, by name. */
export type FieldTable = Readonly<Record<string, Rule>>

/**
 * What is wrong with a value, in a sentence that begins with `what`; undefined if nothing is.
 * @param what The value, as the caller calls it.
 */
export function problemWith(what: string, value: unknown, rule: Rule): string | undefined {
  if (value === undefined)
    return rule.isOptional === true ? undefined : `${what} must be ${rule.expected}, and is missing`
  if (!rule.accepts(value)) return `${what} must be ${rule.expected}, not ${shown(value)}`
  return rule.fields === undefined ? undefined : fieldProblem(what, value as object, rule.fields)
}

/** @throws ClientError BAD_OPTION if something is wrong with a value, in a sentence that begins with `what` */
export function check(what: string, value: unknown, rule: Rule): void {
  const problem = problemWith(what, value, rule)
  if (problem !== undefined) throw new ClientError('BAD_OPTION', problem)
}

function fieldProblem(what: string, given: object, fields: FieldTable): string | undefined {
  const unknown = unknownField(given, fields)
  if (unknown !== undefined) return `${what} has no field ${unknown.slice(0, 80)}${meant(unknown, Object.keys(fields))}`
  for (const [name, rule] of Object.entries(fields)) {
    const problem = problemWith(`${name} of ${what}`, (given as Readonly<Record<string, unknown>>)[name], rule)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** The first field that is not in the table. */
export function unknownField(given: object, fields: Readonly<Record<string, unknown>>): string | undefined {
  for (const name in given) if (!Object.hasOwn(fields, name)) return name
  return undefined
}

/** `; did you mean tags?`, or the names that there are. */
export function meant(given: string, known: readonly string[]): string {
  const like = wordMeant(given.slice(0, 80), known)
  return like === undefined ? `; there are ${known.join(', ')}` : `; did you mean ${like}?`
}

/** The known word that begins with the given one, or the other way round, else the one with the nearest spelling. */
export function wordMeant(given: string, known: readonly string[]): string | undefined {
  const lower = given.toLowerCase()
  const begins = (word: string) => word.startsWith(lower) || lower.startsWith(word)
  const longer = lower.length > 2 ? known.find(each => begins(each.toLowerCase())) : undefined
  return longer ?? nearestWord(given, known)
}

/** A value for an error. */
export function shown(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return String(value)
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80))
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? 'an invalid Date' : 'a Date'
  return value instanceof Uint8Array ? 'bytes' : `a value of type ${typeof value}`
}

// -- Rules ---------------------------------------------------------------------------------------------------------------

export const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
const isPlain = (value: unknown): boolean => isObject(value) && !Array.isArray(value) && !(value instanceof Date)

export const text: Rule = { expected: 'a string', accepts: value => typeof value === 'string' }
export const name = (what: string): Rule => ({
  expected: `a string: the name of ${what}`,
  accepts: value => typeof value === 'string' && value.trim() !== '',
})
export const flag: Rule = { expected: 'true or false', accepts: value => typeof value === 'boolean' }
export const whole = (min: number, max = Number.MAX_SAFE_INTEGER): Rule => ({
  expected:
    max === Number.MAX_SAFE_INTEGER ? `a whole number of ${min} or more` : `a whole number from ${min} to ${max}`,
  accepts: value => typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max,
})
export const date: Rule = {
  expected: 'a Date',
  accepts: value => value instanceof Date && !Number.isNaN(value.getTime()),
}
export const texts: Rule = {
  expected: 'an array of strings',
  accepts: value => Array.isArray(value) && value.every(each => typeof each === 'string'),
}
export const time: Rule = {
  expected: 'a Date, or milliseconds since the epoch',
  accepts: value => (typeof value === 'number' ? Number.isFinite(value) : date.accepts(value)),
}
export const listOf = (what: string): Rule => ({
  expected: `an array of ${what}`,
  accepts: value => isObject(value) && Symbol.iterator in value,
})
export const oneOf = (...words: readonly unknown[]): Rule => ({
  expected: `one of ${words.map(word => JSON.stringify(word)).join(', ')}`,
  accepts: value => words.includes(value),
})
export const object = (expected: string, fields?: FieldTable): Rule => ({
  expected,
  accepts: isPlain,
  ...(fields !== undefined && { fields }),
})
export const optional = (rule: Rule): Rule => ({ ...rule, isOptional: true })

/** A queue. */
export const queue: Rule = object('a queue: { topic, brokerName, queueId }', {
  topic: name('a topic'),
  brokerName: name('a broker'),
  queueId: whole(0, 2_147_483_647),
})

const timeoutRule: Rule = {
  expected: 'a number of milliseconds above 0',
  accepts: value => typeof value === 'number' && value > 0,
}

/** The options of a call, and further fields of one. */
export const callOptions = (more: FieldTable = {}, timeout: Rule = timeoutRule): Rule =>
  optional(
    object('an object', {
      ...more,
      timeoutMs: optional(timeout),
      signal: optional({
        expected: 'an AbortSignal',
        accepts: value => typeof (value as { addEventListener?: unknown } | null)?.addEventListener === 'function',
      }),
    }),
  )

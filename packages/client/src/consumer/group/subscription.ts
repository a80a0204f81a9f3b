import {
  subscriptionOf as readExpression,
  type SubscriptionData,
  type SubscriptionExpression,
} from '@gantrymq/protocol'
import { asClientErrors, ClientError } from '../../errors.ts'
import { isObject, meant, shown, unknownField } from '../../fields.ts'

/** Which messages of a topic to receive: `*`, tags such as `new || paid`, a list of tags, or an SQL92 filter on properties. */
export type Expression = SubscriptionExpression

const EXPECTED = "'*', tags such as 'new || paid', { tags: ['new', 'paid'] } or { sql: 'amount > 5' }"

/**
 * The subscription for a user's expression.
 * @throws ClientError BAD_OPTION if it names no tag, if a tag cannot be matched, or if it is no expression at all
 */
export function subscriptionOf(topic: string, expression: Expression, version: number): SubscriptionData {
  const problem = expressionProblem(expression)
  if (problem !== undefined) throw new ClientError('BAD_OPTION', `the subscription of ${topic} ${problem}`)
  if (typeof expression === 'string' && expression.trim() === '*')
    return asClientErrors(() => readExpression(topic, '*', version))
  return asClientErrors(() => readExpression(topic, expression, version))
}

function expressionProblem(expression: unknown): string | undefined {
  if (typeof expression === 'string') return isMixed(expression.split('||')) ? mixed(expression) : undefined
  if (!isObject(expression) || Array.isArray(expression)) return `must be ${EXPECTED}, not ${shown(expression)}`
  const fields = expressionFields
  const unknown = unknownField(expression, fields)
  if (unknown !== undefined) return `has no field ${unknown}${meant(unknown, Object.keys(fields))}`
  const { tags, sql } = expression as { readonly tags?: unknown; readonly sql?: unknown }
  if (tags !== undefined && sql !== undefined) return 'has tags and sql: brokers filter by one of them'
  if (sql !== undefined) return typeof sql === 'string' ? undefined : `must have a string as sql, not ${shown(sql)}`
  if (!Array.isArray(tags)) return `must be ${EXPECTED}; its tags are ${shown(tags)}`
  return tagsProblem(tags)
}

const expressionFields = { tags: true, sql: true }

function tagsProblem(tags: readonly unknown[]): string | undefined {
  if (tags.length === 0) return "names no tag: an empty list is no subscription, and '*' is all messages"
  const wrong = tags.find(tag => typeof tag !== 'string' || tag.trim() === '' || tag.includes('||'))
  if (wrong !== undefined || tags.includes(undefined)) return `has a tag that is none: ${shown(wrong)}`
  return isMixed(tags as readonly string[]) ? mixed(tags.join(' || ')) : undefined
}

const isMixed = (tags: readonly string[]): boolean => tags.length > 1 && tags.some(tag => tag.trim() === '*')
const mixed = (text: string): string =>
  `names * among other tags, ${JSON.stringify(text)}: brokers would take it as the name of a tag`

import { RemotingError } from '@gantrymq/remoting'
import type { SubscriptionData } from './bodies/heartbeat.ts'
import { stringHash } from './java-hash.ts'

/** Which messages of a topic to receive: `*`, tags such as `new || paid`, an array of tags, or an SQL92 filter on properties. */
export type SubscriptionExpression = string | { readonly tags: readonly string[] } | { readonly sql: string }

const EVERYTHING = '*'
const SEPARATOR = '||'

/**
 * The subscription for an expression (Apache's FilterAPI).
 * @throws RemotingError BAD_OPTION for an expression without tags or without text
 */
export function subscriptionOf(topic: string, expression: SubscriptionExpression, version: number): SubscriptionData {
  if (typeof expression === 'string') return byTags(topic, expression, expression.split(SEPARATOR), version)
  const given: { readonly sql?: unknown; readonly tags?: unknown } = expression ?? {}
  if (typeof given.sql === 'string') return bySql(topic, given.sql, version)
  if (!Array.isArray(given.tags)) throw badExpression(topic, typeof expression, 'is not a string, { tags } or { sql }')
  return byTags(topic, given.tags.join(` ${SEPARATOR} `), given.tags.map(String), version)
}

function byTags(topic: string, subString: string, parts: readonly string[], subVersion: number): SubscriptionData {
  const common = { topic, subVersion, expressionType: 'TAG' }
  if (subString === '' || subString === EVERYTHING) {
    return { ...common, subString: EVERYTHING, tagsSet: [], codeSet: [] }
  }
  const tagsSet = [...new Set(parts.map(part => part.trim()).filter(tag => tag !== ''))]
  if (tagsSet.length === 0) throw badExpression(topic, subString, 'names no tag')
  return { ...common, subString, tagsSet, codeSet: [...new Set(tagsSet.map(stringHash))] }
}

function bySql(topic: string, sql: string, subVersion: number): SubscriptionData {
  if (sql.trim() === '') throw badExpression(topic, sql, 'is an empty SQL92 filter')
  return {
    topic,
    subString: sql,
    tagsSet: [],
    codeSet: [],
    subVersion,
    expressionType: 'SQL92',
  }
}

function badExpression(topic: string, text: string, problem: string): RemotingError {
  return new RemotingError('BAD_OPTION', `the subscription of ${topic}, ${JSON.stringify(text)}, ${problem}`)
}

/**
 * Whether a pulled message matches the subscription. Brokers filter by hash codes, which different tags can share; the client
 * compares the texts. A message without a tag matches only a subscription to all messages.
 */
export function matchesTags({ tagsSet }: SubscriptionData, tag: string | undefined): boolean {
  return tagsSet.length === 0 || (tag !== undefined && tagsSet.includes(tag))
}

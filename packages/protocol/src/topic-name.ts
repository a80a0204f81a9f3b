/** Rules for names of topics and groups: Apache's TopicValidator and the client's Validators. */
export const MAX_TOPIC_LENGTH = 127
/** For retry and dead-letter topics, whose names contain the group's name (5.x). */
export const MAX_RETRY_TOPIC_LENGTH = 255
export const MAX_GROUP_LENGTH = 255

export const RETRY_PREFIX = '%RETRY%'
export const DEAD_LETTER_PREFIX = '%DLQ%'
const SYSTEM_TOPIC_PREFIX = 'rmq_sys_'
/**
 * Brokers with autoCreateTopicEnable register this topic. Clients use its route for topics that do not exist yet, and a broker
 * copies its settings to them (Apache's TopicValidator.AUTO_CREATE_TOPIC_KEY_TOPIC).
 */
export const AUTO_CREATE_TOPIC = 'TBW102'
/** The producer group of messages that a client sends on its own (Apache's MixAll.CLIENT_INNER_PRODUCER_GROUP). */
export const INNER_PRODUCER_GROUP = 'CLIENT_INNER_PRODUCER'

const LEGAL = /^[%|a-zA-Z0-9_-]*$/

/** Topics that no user may send to (Apache's notAllowedSendTopicSet). */
const CLOSED_TOPICS: ReadonlySet<string> = new Set([
  'SCHEDULE_TOPIC_XXXX',
  'RMQ_SYS_TRANS_HALF_TOPIC',
  'RMQ_SYS_TRANS_OP_HALF_TOPIC',
  'TRANS_CHECK_MAX_TIME_TOPIC',
  'SELF_TEST_TOPIC',
  'OFFSET_MOVED_EVENT',
  'RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC',
  'RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC',
])

/** Topics that RocketMQ itself uses, on any broker (Apache's TopicValidator). */
export const SYSTEM_TOPICS: ReadonlySet<string> = new Set([
  ...CLOSED_TOPICS,
  AUTO_CREATE_TOPIC,
  'BenchmarkTest',
  'RMQ_SYS_TRACE_TOPIC',
  'CHECKPOINT_TOPIC',
])

/** Whether RocketMQ itself uses a topic. */
export function isSystemTopic(topic: string): boolean {
  return SYSTEM_TOPICS.has(topic) || topic.startsWith(SYSTEM_TOPIC_PREFIX)
}

/** Whether a topic refuses messages from users. */
export function isClosedTopic(topic: string): boolean {
  return CLOSED_TOPICS.has(topic)
}

export function isRetryTopic(topic: string): boolean {
  return topic.startsWith(RETRY_PREFIX)
}

export function isDeadLetterTopic(topic: string): boolean {
  return topic.startsWith(DEAD_LETTER_PREFIX)
}

export function retryTopicOf(group: string): string {
  return RETRY_PREFIX + group
}

/** The group of a retry topic. */
export function groupOfRetryTopic(topic: string): string {
  return topic.slice(RETRY_PREFIX.length)
}

export function deadLetterTopicOf(group: string): string {
  return DEAD_LETTER_PREFIX + group
}

/** Why a name is not valid for a topic, in a sentence; null if it is valid. */
export function topicProblem(topic: string): string | null {
  const limit = isRetryTopic(topic) || isDeadLetterTopic(topic) ? MAX_RETRY_TOPIC_LENGTH : MAX_TOPIC_LENGTH
  return problem('topic', topic, limit)
}

/** Why a name is not valid for a group, in a sentence; null if it is valid. Brokers of 5.5 accept new groups only up to 120. */
export function groupProblem(group: string): string | null {
  return problem('group', group, MAX_GROUP_LENGTH)
}

function problem(what: string, name: string, limit: number): string | null {
  if (name.trim() === '') return `the ${what} is blank`
  if (name.length > limit) return `the ${what} is longer than ${limit} characters`
  if (!LEGAL.test(name)) return `the ${what} ${JSON.stringify(name)} has characters other than letters, digits and %|_-`
  return null
}

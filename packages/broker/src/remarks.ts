/*
 * Remarks of Apache's broker that several requests share. Clients print them, and people search for them.
 */

import type { TopicConfig } from '@gantrymq/protocol'

/** The end of many remarks, as in 5.x (Apache's FAQUrl). */
export const FAQ = '\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.'

export const NO_BODY = 'the request has no body'

export function systemTopicRemark(topic: string): string {
  return `The topic[${topic}] is conflict with system topic.`
}

/** A consumer names a topic that does not exist. The remark of a send has no blank before the address. */
export function topicMissingRemark(topic: string): string {
  return `topic[${topic}] not exist, apply first please! ${FAQ}`
}

/** A consumer names a queue that the topic does not have. @param consumer Its address. */
export function illegalQueueRemark(
  queueId: number,
  { topicName, readQueueNums }: TopicConfig,
  consumer: string,
): string {
  return `queueId[${queueId}] is illegal, topic:[${topicName}] topicConfig.readQueueNums:[${readQueueNums}] consumer:[/${consumer}]`
}

export function groupMissingRemark(group: string): string {
  return `subscription group not exist, ${group} ${FAQ}`
}

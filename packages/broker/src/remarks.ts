/*
 * Remarks of Apache's broker that several requests share. Clients print them, and people search for them.
 */

/** The end of many remarks, as in 5.x (Apache's FAQUrl). */
export const FAQ = '\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.'

export const NO_BODY = 'the request has no body'

export function systemTopicRemark(topic: string): string {
  return `The topic[${topic}] is conflict with system topic.`
}

export function groupMissingRemark(group: string): string {
  return `subscription group not exist, ${group} ${FAQ}`
}

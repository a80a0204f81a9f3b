import { MAX_TOPIC_LENGTH } from '@gantrymq/protocol'

const LEGAL = /^[%|a-zA-Z0-9_-]+$/

/**
 * Why a broker refuses the name of a topic, in Apache's words; null if the name is valid. A valid name has no slash, dot or control
 * character, so it is safe as the name of a folder. Source: Apache's TopicValidator.validateTopic.
 */
export function topicNameRemark(topic: string): string | null {
  if (topic.trim() === '') return 'The specified topic is blank.'
  if (!LEGAL.test(topic)) {
    return 'The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$'
  }
  return topic.length > MAX_TOPIC_LENGTH ? 'The specified topic is longer than topic max length.' : null
}

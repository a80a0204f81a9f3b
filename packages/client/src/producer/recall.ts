import { isDeadLetterTopic, isRetryTopic, readRecallHandle, sendRequests } from '@gantrymq/protocol'
import type { Deadline } from '../deadline.ts'
import { ClientError, toClientError } from '../errors.ts'
import { topicOf } from './prepared-message.ts'
import { publishRoute, type Sender } from './send-loop.ts'

/**
 * Cancels the delivery of a timer message (5.x brokers with `recallMessageEnable`). Returns the message's id.
 * @throws ClientError BAD_NAME, BAD_OPTION, BROKER_MISSING, and as `ClientInstance.call`
 */
export async function recallMessage(
  sender: Sender,
  topic: string,
  recallHandle: string,
  deadline: Deadline,
): Promise<string> {
  const { instance, group, settings, trace } = sender
  const wireTopic = topicOf(topic, settings.namespace)
  if (isRetryTopic(topic) || isDeadLetterTopic(topic)) {
    throw new ClientError('BAD_NAME', `a message of the topic ${topic}, which belongs to a group, cannot be recalled`)
  }
  const { brokerName } = handleOf(recallHandle)
  const known = await publishRoute(sender, wireTopic, deadline)
  // If the broker of the handle is unknown, any broker of the topic refuses the handle with the reason (Apache's
  // DefaultMQProducerImpl.recallMessage).
  const address = [brokerName, ...known.publish.map(queue => queue.brokerName)]
    .map(name => instance.brokers.master(name))
    .find(found => found !== undefined)
  if (address === undefined) {
    const text = `no master of the topic ${wireTopic} is registered, and none with the name ${JSON.stringify(brokerName)} of the handle`
    throw new ClientError('BROKER_MISSING', text)
  }
  const header = { producerGroup: group, topic: wireTopic, recallHandle }
  const reply = await instance.call(address, sendRequests.RECALL_MESSAGE, { header }, deadline.options())
  trace?.recalled(wireTopic, reply.header.msgId, true)
  return reply.header.msgId
}

function handleOf(text: string): ReturnType<typeof readRecallHandle> {
  try {
    return readRecallHandle(text)
  } catch (error) {
    throw toClientError(error)
  }
}

import { setImmediate } from 'node:timers/promises'
import { consumeRequests, decodeMessages, pullFlags, sendRequests, type StoredMessage } from '@gantrymq/protocol'
import type { CallInput, Reply } from '@gantrymq/remoting'
import type { InMemory } from './broker-in-memory.ts'

type SendRequest = (typeof sendRequests)['SEND_MESSAGE']
type SendHeader = NonNullable<CallInput<SendRequest>['header']>

/** The header and body of a message to send. */
export function sendInput(
  given: Partial<SendHeader> = {},
  body: string | Buffer = 'hello',
): { header: SendHeader; body: Buffer } {
  const header = {
    producerGroup: 'producers',
    topic: 'Orders',
    defaultTopic: 'TBW102',
    defaultTopicQueueNums: 4,
    queueId: 1,
    sysFlag: 0,
    bornTimestamp: 1_699_999_999_000,
    flag: 7,
    ...given,
  }
  return { header, body: Buffer.from(body) }
}

/** Sends a message, by default to queue 1 of the topic Orders. */
export function sendMessage(
  { client, brokerAddress }: InMemory,
  given: Partial<SendHeader> = {},
  body: string | Buffer = 'hello',
): Promise<Reply<SendRequest>> {
  return client.call(brokerAddress, sendRequests.SEND_MESSAGE, sendInput(given, body))
}

/** All messages of a queue, read by pulls. */
export async function messagesIn(mq: InMemory, topic: string, queueId: number): Promise<StoredMessage[]> {
  const messages: StoredMessage[] = []
  for (;;) {
    const header = {
      consumerGroup: 'readers',
      topic,
      queueId,
      queueOffset: messages.length,
      maxMsgNums: 32,
      sysFlag: pullFlags.subscription,
      commitOffset: 0,
      suspendTimeoutMillis: 0,
      subscription: '*',
      subVersion: 0,
      expressionType: 'TAG',
    }
    const { body } = await mq.client.call(mq.brokerAddress, consumeRequests.PULL_MESSAGE, { header })
    if (body === null || body.length === 0) return messages
    messages.push(...decodeMessages(body))
  }
}

/** Lets everything happen that waits for no time. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await setImmediate()
}

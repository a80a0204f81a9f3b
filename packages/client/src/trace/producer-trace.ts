import { PROPERTY, readMessageProperty } from '@gantrymq/protocol'
import type { SendReceipt } from '../message/message.ts'
import { messageTypes } from './entries.ts'
import { GroupTrace } from './group-trace.ts'

/** A message as it was sent. */
export interface TracedSend {
  /** With the namespace. */
  readonly topic: string
  readonly messageId: string
  /** The properties, encoded. */
  readonly properties: string
  readonly body: Buffer
  /** The messages of a batch. */
  readonly parts?: readonly TracedSend[] | undefined
}

/** The outcome of a transaction, as it is sent to the broker. */
export interface EndedTransaction {
  /** With the namespace. */
  readonly topic: string
  readonly messageId: string
  readonly transactionId: string | undefined
  /** `ip:port` of the broker. */
  readonly address: string
  readonly state: 'commit' | 'rollback' | 'unknown'
  readonly fromCheck: boolean
  readonly tags?: string | undefined
  readonly keys?: string | undefined
  readonly region?: string | undefined
}

const STATE_NAMES = { commit: 'COMMIT_MESSAGE', rollback: 'ROLLBACK_MESSAGE', unknown: 'UNKNOW' } as const

/** Writes RocketMQ's message trace of a producer: Apache's SendMessageTraceHookImpl, EndTransactionTraceHookImpl and others. */
export class ProducerTrace extends GroupTrace {
  /** Traces a message that a broker has stored. `costMs` is the duration of the successful attempt. */
  sent(message: TracedSend, receipt: SendReceipt, address: string, costMs: number): void {
    // A broker may not want a trace, and messages of the trace topic have none.
    if (!receipt.traceOn || message.topic.startsWith(this.dispatcher.topic)) return
    const { status, regionId, offsetMessageId } = receipt
    const common = {
      kind: 'Pub',
      ...this.head(regionId),
      at: this.clock.now() - costMs,
      topic: this.shown(message.topic),
      storeHost: address,
      costMs,
      ok: status === 'SEND_OK',
    } as const
    const ids = offsetMessageId.split(',')
    // Java writes one entry with the ids of all messages, which it then finds by none of them.
    const entries = (message.parts ?? [message]).map(({ messageId, properties, body }, index) => ({
      ...common,
      messageId,
      tags: readMessageProperty(properties, PROPERTY.TAGS),
      keys: readMessageProperty(properties, PROPERTY.KEYS),
      bodyLength: body.length,
      messageType: typeOf(properties),
      offsetMessageId: ids[index] ?? (ids[0] as string),
    }))
    this.dispatcher.append(entries)
  }

  /** Traces the outcome of a half message. */
  ended(transaction: EndedTransaction): void {
    const { topic, messageId, transactionId, address, state, fromCheck, tags, keys, region } = transaction
    const names = { topic: this.shown(topic), messageId, tags, keys, storeHost: address }
    const outcome = {
      messageType: messageTypes.transactionCommit,
      transactionId,
      state: STATE_NAMES[state],
      fromCheck,
    }
    this.dispatcher.append([{ kind: 'EndTransaction', ...this.head(region), ...names, ...outcome }])
  }

  /** Traces the recall of a timer message. `topic` has the namespace. */
  recalled(topic: string, messageId: string, ok: boolean): void {
    const subject = { topic: this.shown(topic), messageId, ok }
    this.dispatcher.append([{ kind: 'Recall', ...this.head(undefined), ...subject }])
  }
}

const DELAYS = ['DELAY', 'TIMER_DELIVER_MS', 'TIMER_DELAY_MS', 'TIMER_DELAY_SEC', '__STARTDELIVERTIME'] as const

function typeOf(properties: string): number {
  if (DELAYS.some(name => readMessageProperty(properties, name) !== undefined)) return messageTypes.delay
  const isHalf = readMessageProperty(properties, PROPERTY.TRANSACTION_MESSAGE) === 'true'
  return isHalf ? messageTypes.transactionHalf : messageTypes.normal
}

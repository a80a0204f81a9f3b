import { readMessageProperty, unwrapNamespace } from '@gantrymq/protocol'
import type { Clock } from '@gantrymq/remoting'
import type { SendReceipt } from '../message/message.ts'
import type { TraceDispatcher } from './dispatcher.ts'
import { messageTypes } from './entries.ts'

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

export const DEFAULT_REGION = 'DefaultRegion'

const STATE_NAMES = { commit: 'COMMIT_MESSAGE', rollback: 'ROLLBACK_MESSAGE', unknown: 'UNKNOW' } as const

/** Writes RocketMQ's message trace of a producer: Apache's SendMessageTraceHookImpl, EndTransactionTraceHookImpl and others. */
export class ProducerTrace {
  readonly #dispatcher: TraceDispatcher
  readonly #clock: Clock
  readonly #namespace: string
  readonly #group: string

  /** @param group Without the namespace, like all names in traces. */
  constructor(dispatcher: TraceDispatcher, clock: Clock, namespace: string, group: string) {
    this.#dispatcher = dispatcher
    this.#clock = clock
    this.#namespace = namespace
    this.#group = group
  }

  /** Traces a message that a broker has stored. `costMs` is the duration of the successful attempt. */
  sent(message: TracedSend, receipt: SendReceipt, address: string, costMs: number): void {
    // A broker may not want a trace, and messages of the trace topic have none.
    if (!receipt.traceOn || message.topic.startsWith(this.#dispatcher.topic)) return
    const { status, regionId, offsetMessageId } = receipt
    const common = {
      kind: 'Pub',
      at: this.#clock.now() - costMs,
      region: regionId,
      group: this.#group,
      topic: unwrapNamespace(this.#namespace, message.topic),
      storeHost: address,
      costMs,
      ok: status === 'SEND_OK',
    } as const
    const ids = offsetMessageId.split(',')
    // Java writes one entry with the ids of all messages, which it then finds by none of them.
    const entries = (message.parts ?? [message]).map(({ messageId, properties, body }, index) => ({
      ...common,
      messageId,
      tags: readMessageProperty(properties, 'TAGS'),
      keys: readMessageProperty(properties, 'KEYS'),
      bodyLength: body.length,
      messageType: typeOf(properties),
      offsetMessageId: ids[index] ?? (ids[0] as string),
    }))
    this.#dispatcher.append(entries)
  }

  /** Traces the outcome of a half message. */
  ended(transaction: EndedTransaction): void {
    const { topic, messageId, transactionId, address, state, fromCheck, tags, keys, region } = transaction
    const names = { topic: unwrapNamespace(this.#namespace, topic), messageId, tags, keys, storeHost: address }
    const outcome = {
      messageType: messageTypes.transactionCommit,
      transactionId,
      state: STATE_NAMES[state],
      fromCheck,
    }
    this.#dispatcher.append([{ kind: 'EndTransaction', ...this.#head(region), ...names, ...outcome }])
  }

  /** Traces the recall of a timer message. `topic` has the namespace. */
  recalled(topic: string, messageId: string, ok: boolean): void {
    const subject = { topic: unwrapNamespace(this.#namespace, topic), messageId, ok }
    this.#dispatcher.append([{ kind: 'Recall', ...this.#head(undefined), ...subject }])
  }

  #head(region: string | undefined) {
    return { at: this.#clock.now(), region: region ?? DEFAULT_REGION, group: this.#group }
  }

  /** Sends the remaining entries, for at most `drainMs`. Idempotent. */
  close(drainMs: number): Promise<void> {
    return this.#dispatcher.close(drainMs)
  }
}

const DELAYS = ['DELAY', 'TIMER_DELIVER_MS', 'TIMER_DELAY_MS', 'TIMER_DELAY_SEC', '__STARTDELIVERTIME'] as const

function typeOf(properties: string): number {
  if (DELAYS.some(name => readMessageProperty(properties, name) !== undefined)) return messageTypes.delay
  const isHalf = readMessageProperty(properties, 'TRAN_MSG') === 'true'
  return isHalf ? messageTypes.transactionHalf : messageTypes.normal
}

import { readMessageProperty, unwrapNamespace } from '@gantrymq/protocol'
import type { Clock } from '@gantrymq/remoting'
import type { SendReceipt } from '../message/message.ts'
import type { TraceDispatcher } from './dispatcher.ts'
import { messageTypes } from './entries.ts'

/** A message that was sent, as the wire had it. */
export interface SentMessage {
  /** With the namespace. */
  readonly topic: string
  readonly messageId: string
  /** The property text. */
  readonly properties: string
  readonly body: Buffer
  /** Of a batch: its messages. */
  readonly parts?: readonly SentMessage[] | undefined
}

/** A transaction's outcome, as the broker was told. */
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

/** Writes RocketMQ's message trace of one producer: Apache's SendMessageTraceHookImpl and its like. */
export class ProducerTrace {
  readonly #dispatcher: TraceDispatcher
  readonly #clock: Clock
  readonly #namespace: string
  readonly #group: string

  /** @param group without the namespace, as all names are in traces */
  constructor(dispatcher: TraceDispatcher, clock: Clock, namespace: string, group: string) {
    this.#dispatcher = dispatcher
    this.#clock = clock
    this.#namespace = namespace
    this.#group = group
  }

  /** A broker answered that it has a message. `costMs` is the time of that attempt. */
  sent(message: SentMessage, receipt: SendReceipt, address: string, costMs: number): void {
    // The trace of a trace would have no end; brokers may ask for none.
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
    // Java writes one entry with all ids in it, and then finds it by none of them.
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

  /** A broker is told what became of a half message. */
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

  /** A timer message was taken back, or was not. `topic` has the namespace. */
  recalled(topic: string, messageId: string, ok: boolean): void {
    const subject = { topic: unwrapNamespace(this.#namespace, topic), messageId, ok }
    this.#dispatcher.append([{ kind: 'Recall', ...this.#head(undefined), ...subject }])
  }

  #head(region: string | undefined) {
    return { at: this.#clock.now(), region: region ?? DEFAULT_REGION, group: this.#group }
  }

  /** Sends what is left, waiting at most `drainMs`. Idempotent. */
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

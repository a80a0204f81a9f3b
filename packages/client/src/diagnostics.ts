import { tracingChannel } from 'node:diagnostics_channel'
import { unwrapNamespace } from '@gantrymq/protocol'
import { SUCCESS } from '@gantrymq/remoting'
import type { MessageQueue, OutgoingMessage, SendReceipt } from './message/message.ts'

/**
 * What subscribers of `tracing:gantrymq:client:send:*` see of a send. `properties` may be added to until it starts: that is
 * how trace contexts travel.
 *
 * The channels stand for Apache's SendMessageHook and ConsumeMessageHook, option `onRequest` for its RPCHook. What
 * CheckForbiddenHook and FilterMessageHook refuse, refuse before `send` and in the listener; EndTransactionHook is seen in
 * the receipt's `transactionState`.
 */
export interface SendEvent {
  readonly clientId: string
  /** Empty without one. Names of groups and topics are without it. */
  readonly namespace: string
  readonly group: string
  readonly kind: 'send' | 'oneway' | 'batch' | 'transaction' | 'request' | 'reply'
  readonly topic: string
  /** The first of a batch stands for all. */
  readonly message: OutgoingMessage<unknown>
  readonly count: number
  readonly properties: Record<string, string>
  /** Set at the end, when it was stored; of a batch the first one. */
  receipt?: SendReceipt | undefined
}

/** What subscribers of `tracing:gantrymq:client:pull:*` see of a pull or pop. */
export interface PullEvent {
  readonly clientId: string
  /** Empty without one. */
  readonly namespace: string
  readonly group: string
  readonly queue: MessageQueue
  readonly offset: number
  /** Set at the end: whether messages came. */
  found?: boolean
}

/** What subscribers of `tracing:gantrymq:client:consume:*` see of one call of a listener. */
export interface ConsumeEvent {
  readonly clientId: string
  /** Empty without one. Names of groups and topics are without it. */
  readonly namespace: string
  readonly group: string
  readonly topic: string
  /** Whether each member of the group gets all messages. */
  readonly broadcast: boolean
  readonly messages: readonly {
    readonly messageId: string
    readonly properties: ReadonlyMap<string, string>
    readonly queue: MessageQueue
    readonly queueOffset: number
    readonly bodyLength: number
    readonly reconsumeTimes: number
  }[]
  /** Set at the end, unless the listener threw. */
  outcome?: 'ack' | 'retry'
  /**
   * May be set at the start: calls the listener, and so can give it a context to run in. Whoever finds one there calls it
   * inside of its own.
   */
  around?: <T>(call: () => Promise<T>) => Promise<T>
}

export const sendChannel = tracingChannel<unknown, SendEvent>('gantrymq:client:send')
export const pullChannel = tracingChannel<unknown, PullEvent>('gantrymq:client:pull')
export const consumeChannel = tracingChannel<unknown, ConsumeEvent>('gantrymq:client:consume')

interface PullPlace {
  readonly clientId: string
  readonly namespace: string
  /** With the namespace, as the topic of the queue. */
  readonly group: string
  readonly queue: MessageQueue
  readonly offset: number
}

/** Runs a pull between the events of its channel. Only for when somebody listens. */
export function tracePull<R extends { readonly code: number }>(place: PullPlace, ask: () => Promise<R>): Promise<R> {
  const { clientId, namespace, group, queue, offset } = place
  const event: PullEvent = {
    clientId,
    namespace,
    group: unwrapNamespace(namespace, group),
    queue: { ...queue, topic: unwrapNamespace(namespace, queue.topic) },
    offset,
  }
  return pullChannel.tracePromise(async () => {
    const reply = await ask()
    event.found = reply.code === SUCCESS
    return reply
  }, event)
}

/** Calls a listener between the events of its channel. Only for when somebody listens. */
export function traceConsume<T>(event: ConsumeEvent, call: () => Promise<T>): Promise<T> {
  return consumeChannel.tracePromise(() => (event.around === undefined ? call() : event.around(call)), event)
}

/** Runs a send between the events of its channel. Only for when somebody listens: see `sendChannel.hasSubscribers`. */
export function traceSend<T>(event: SendEvent, run: (event: SendEvent) => Promise<T>): Promise<T> {
  return sendChannel.tracePromise(() => run(event), event)
}

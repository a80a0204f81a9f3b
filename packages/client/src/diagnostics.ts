import { tracingChannel } from 'node:diagnostics_channel'
import { unwrapNamespace } from '@gantrymq/protocol'
import { SUCCESS } from '@gantrymq/remoting'
import type { MessageQueue, OutgoingMessage, SendReceipt } from './message/message.ts'

/**
 * A send, as subscribers of `tracing:gantrymq:client:send:*` see it. Until it starts they may add `properties` to the message,
 * such as a trace context.
 *
 * The channels replace Apache's SendMessageHook and ConsumeMessageHook, and option `onRequest` its RPCHook. What a
 * CheckForbiddenHook or FilterMessageHook refuses, check before `send` and in the listener. What an EndTransactionHook sees is
 * the receipt's `transactionState`.
 */
export interface SendEvent {
  readonly clientId: string
  /** Empty if there is none. The names of groups and topics are without it. */
  readonly namespace: string
  readonly group: string
  readonly kind: 'send' | 'oneway' | 'batch' | 'transaction' | 'request' | 'reply'
  readonly topic: string
  /** The message; of a batch, the first. */
  readonly message: OutgoingMessage<unknown>
  /** The number of messages: more than one for a batch. */
  readonly count: number
  readonly properties: Record<string, string>
  /** Set at the end if the message was stored; of a batch, the first receipt. */
  receipt?: SendReceipt | undefined
}

/** A pull or pop, as subscribers of `tracing:gantrymq:client:pull:*` see it. */
export interface PullEvent {
  readonly clientId: string
  /** Empty if there is none. */
  readonly namespace: string
  readonly group: string
  readonly queue: MessageQueue
  readonly offset: number
  /** Set at the end: true if there were messages. */
  found?: boolean
}

/** One call of a listener, as subscribers of `tracing:gantrymq:client:consume:*` see it. */
export interface ConsumeEvent {
  readonly clientId: string
  /** Empty if there is none. The names of groups and topics are without it. */
  readonly namespace: string
  readonly group: string
  readonly topic: string
  /** True if each member of the group gets all messages. */
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
   * A subscriber may set it at the start, to call the listener within a context. If it is set already, the subscriber's
   * function must call the previous one.
   */
  around?: <T>(call: () => Promise<T>) => Promise<T>
}

// The releases of Node's types have their two type parameters in different orders.
export const sendChannel = tracingChannel<SendEvent, SendEvent>('gantrymq:client:send')
export const pullChannel = tracingChannel<PullEvent, PullEvent>('gantrymq:client:pull')
export const consumeChannel = tracingChannel<ConsumeEvent, ConsumeEvent>('gantrymq:client:consume')

interface PullSubject {
  readonly clientId: string
  readonly namespace: string
  /** With the namespace, like the topic of the queue. */
  readonly group: string
  readonly queue: MessageQueue
  readonly offset: number
}

/** Runs a pull between the events of its channel. Call it only if the channel has subscribers. */
export function tracePull<R extends { readonly code: number }>(
  subject: PullSubject,
  ask: () => Promise<R>,
): Promise<R> {
  const { clientId, namespace, group, queue, offset } = subject
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

/** Calls a listener between the events of its channel. Call it only if the channel has subscribers. */
export function traceConsume<T>(event: ConsumeEvent, call: () => Promise<T>): Promise<T> {
  return consumeChannel.tracePromise(() => (event.around === undefined ? call() : event.around(call)), event)
}

/** Runs a send between the events of its channel. Call it only if the channel has subscribers. */
export function traceSend<T>(event: SendEvent, run: (event: SendEvent) => Promise<T>): Promise<T> {
  return sendChannel.tracePromise(() => run(event), event)
}

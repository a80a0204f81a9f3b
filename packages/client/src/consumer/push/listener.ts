import { unwrapNamespace } from '@gantrymq/protocol'
import { isPromise } from '@gantrymq/remoting'
import { consumeChannel, type ConsumeEvent, traceConsume } from '../../diagnostics.ts'
import type { MessageQueue } from '../../message/message.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import type { TracedOutcome } from '../../trace/consumer-trace.ts'
import type { PushContext } from './context.ts'

/** What a listener returns to have messages redelivered. */
export interface Retry {
  readonly retry: {
    /**
     * 0 or absent: the broker chooses the delay by the number of deliveries. 1 to 18: a level of the broker's delay table. -1:
     * the message becomes a dead letter at once.
     */
    readonly delayLevel?: number | undefined
    /** For batches: the index of the first message to redeliver; those after it follow. Default 0, all of them. */
    readonly from?: number | undefined
    /** For orderly consumers: how long the queue rests, in milliseconds, 10 to 30,000. */
    readonly suspendMs?: number | undefined
  }
}

/** What a listener returns. Anything but a `Retry`, such as nothing or `true`, means that all messages are done. */
export type Outcome = Retry | undefined | void

/** What a listener gets besides the messages. */
export interface ListenerContext {
  readonly queue: MessageQueue
  /** Aborted when the consumer closes and no longer waits for the listener. */
  readonly signal: AbortSignal
}

/** Consumes messages. If it throws, all of them are redelivered. */
export type Listener<Body> = (
  messages: readonly ReceivedMessage<Body>[],
  context: ListenerContext,
) => Outcome | Promise<Outcome>

/** What a handler returns for messages that are neither done nor to be sent back: the queue's next owner gets them. */
export const ABANDONED = Symbol('abandoned')

type HandlerResult = Outcome | typeof ABANDONED

/** Consumes messages: the user's listener, or the loops that iterate over the consumer. */
export interface MessageHandler<Body> {
  handle(messages: readonly ReceivedMessage<Body>[], context: ListenerContext): HandlerResult | Promise<HandlerResult>
  /** True while no loop has taken the message yet: its time limit has not started. */
  readonly isWaiting?: (message: ReceivedMessage<Body>) => boolean
  /** Abandons the messages of a queue that no loop has taken: the queue goes to another member. */
  readonly abandon?: (queue: MessageQueue) => void
}

/** How a call of a handler ended, unless all messages are done. */
export interface CallResult {
  /** Messages before this index are done; those from here on have to be redelivered. */
  readonly doneCount: number
  readonly delayLevel: number
  readonly suspendMs: number | undefined
  /** What the handler threw, if it did. */
  readonly error: unknown
  /** The messages are neither done nor to be redelivered. */
  readonly isAbandoned?: boolean
}

type CallContext = Pick<PushContext, 'instance' | 'group' | 'settings' | 'trace'>

/**
 * Calls a handler and interprets what it returns: undefined if all messages are done. Returns a promise only if the handler
 * does, so that other calls cost no turn of the event loop. Never throws or rejects.
 */
export function callListener<Body>(
  context: CallContext,
  handler: MessageHandler<Body>,
  messages: readonly ReceivedMessage<Body>[],
  listenerContext: ListenerContext,
): CallResult | undefined | Promise<CallResult | undefined> {
  if (context.trace !== undefined || consumeChannel.hasSubscribers || messages.some(isCompressed)) {
    return callTraced(context, handler, messages, listenerContext)
  }
  try {
    const result = handler.handle(messages, listenerContext)
    if (result === undefined) return undefined
    return isPromise(result) ? settled(context, result, messages) : callResult(result, messages.length)
  } catch (error) {
    return failed(context, messages, error)
  }
}

export function allDone(count: number): CallResult {
  return { doneCount: count, delayLevel: 0, suspendMs: undefined, error: undefined }
}

function isCompressed({ view }: ReceivedMessage<unknown>): boolean {
  return view.compression !== null
}

async function settled<Body>(
  context: CallContext,
  result: Promise<HandlerResult>,
  messages: readonly ReceivedMessage<Body>[],
): Promise<CallResult | undefined> {
  try {
    return callResult(await result, messages.length)
  } catch (error) {
    return failed(context, messages, error)
  }
}

// Between the two entries of RocketMQ's own message trace, if that is on.
async function callTraced<Body>(
  context: CallContext,
  handler: MessageHandler<Body>,
  messages: readonly ReceivedMessage<Body>[],
  listenerContext: ListenerContext,
): Promise<CallResult | undefined> {
  const { clock } = context.instance
  const started = clock.elapsed()
  const endTrace = context.trace?.begin(messages)
  const result = await callAsync(context, handler, messages, listenerContext)
  const tookMs = clock.elapsed() - started
  endTrace?.(tracedOutcome(result, tookMs >= context.settings.consumeTimeoutMs), tookMs)
  return result
}

// Apache's ConsumeReturnType, in its order of precedence.
function tracedOutcome(result: CallResult | undefined, isLate: boolean): TracedOutcome {
  if (result?.error !== undefined) return 'exception'
  if (isLate) return 'timeout'
  return result === undefined ? 'success' : 'failed'
}

async function callAsync<Body>(
  context: CallContext,
  handler: MessageHandler<Body>,
  messages: readonly ReceivedMessage<Body>[],
  listenerContext: ListenerContext,
): Promise<CallResult | undefined> {
  try {
    for (const { view } of messages) if (view.compression !== null) await view.readBody()
    const call = async (): Promise<HandlerResult> => await handler.handle(messages, listenerContext)
    const result = consumeChannel.hasSubscribers ? await publishCall(context, call, messages) : await call()
    return callResult(result, messages.length)
  } catch (error) {
    return failed(context, messages, error)
  }
}

function failed<Body>(
  { group, instance }: CallContext,
  messages: readonly ReceivedMessage<Body>[],
  error: unknown,
): CallResult {
  instance.log.warn({ group, messageId: messages[0]?.messageId, error: String(error) }, 'listener failed')
  return { doneCount: 0, delayLevel: 0, suspendMs: undefined, error }
}

function callResult(result: HandlerResult, count: number): CallResult | undefined {
  if (result === ABANDONED) return { ...allDone(0), isAbandoned: true }
  const retry = result?.retry
  if (retry === undefined) return undefined
  const { from = 0, delayLevel = 0, suspendMs } = retry
  return {
    // If `from` is no valid index, all messages are redelivered.
    doneCount: Number.isInteger(from) ? Math.min(Math.max(0, from), count) : 0,
    delayLevel: Number.isInteger(delayLevel) ? delayLevel : 0,
    suspendMs: suspendMs !== undefined && suspendMs >= 0 ? suspendMs : undefined,
    error: undefined,
  }
}

/** Calls the handler between the events of the `consume` diagnostics channel. */
async function publishCall<Body>(
  { instance, group, settings }: CallContext,
  call: () => Promise<HandlerResult>,
  messages: readonly ReceivedMessage<Body>[],
): Promise<HandlerResult> {
  const { clientId, options } = instance
  const { namespace } = options
  const event: ConsumeEvent = {
    clientId,
    namespace,
    group: unwrapNamespace(namespace, group),
    topic: messages[0]?.topic ?? '',
    broadcast: settings.broadcast,
    messages: messages.map(({ messageId, properties, queue, queueOffset, view, reconsumeTimes }) => ({
      messageId,
      properties,
      queue: { ...queue, topic: unwrapNamespace(namespace, queue.topic) },
      queueOffset,
      bodyLength: view.storedBody.length,
      reconsumeTimes,
    })),
  }
  return await traceConsume(event, async () => {
    const result = await call()
    event.outcome = callResult(result, messages.length) === undefined ? 'ack' : 'retry'
    return result
  })
}

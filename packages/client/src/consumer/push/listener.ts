import { unwrapNamespace } from '@gantrymq/protocol'
import { isPromise } from '@gantrymq/remoting'
import { consumeChannel, type ConsumeEvent, traceConsume } from '../../diagnostics.ts'
import type { MessageQueue } from '../../message/message.ts'
import type { TracedOutcome } from '../../trace/consumer-trace.ts'
import type { ConsumerCore } from './context.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'

/** What a listener may say of its messages. Nothing, or undefined, means that all are done; so does `true`. */
export interface Retry {
  readonly retry: {
    /** 0 or absent: the broker decides by how often it was tried; 1 to 18 of its table; -1: to the dead letters at once. */
    readonly delayLevel?: number | undefined
    /** Of a batch: this one and those behind it. Default 0, all. */
    readonly from?: number | undefined
    /** Orderly: how long the queue rests, milliseconds, 10 to 30,000. */
    readonly suspendMs?: number | undefined
  }
}

export type Outcome = Retry | undefined | void

/** What a listener is told beside the messages. */
export interface ListenerContext {
  readonly queue: MessageQueue
  /** Aborted when the consumer closes and will not wait any longer. */
  readonly signal: AbortSignal
}

/** Consumes messages. What it throws means that they are to come again. */
export type Listener<Body> = (
  messages: readonly ReceivedMessage<Body>[],
  context: ListenerContext,
) => Outcome | Promise<Outcome>

/** Said of messages that nobody will finish here: they are neither done nor to be given back. */
export const LEFT = Symbol('left')

/** Who consumes: a user's listener, or the messages' own `ack` and `retry`. */
export interface Handler<Body> {
  handle(
    messages: readonly ReceivedMessage<Body>[],
    context: ListenerContext,
  ): Outcome | typeof LEFT | Promise<Outcome | typeof LEFT>
  /** True of messages that nobody has taken yet, so that they are not late. */
  readonly isWaiting?: (message: ReceivedMessage<Body>) => boolean
  /** A queue goes to somebody else: what nobody has taken of it is left. */
  readonly leave?: (queue: MessageQueue) => void
}

/** How one call of a listener ended. */
export interface Consumed {
  /** Messages before this one are done; those from here on are to come again. */
  readonly doneCount: number
  readonly delayLevel: number
  readonly suspendMs: number | undefined
  /** What it threw, if it did. */
  readonly error: unknown
  /** The messages are to be left as they are. */
  readonly isLeft?: boolean
}

type ListenerCore<Body> = Pick<ConsumerCore<Body>, 'instance' | 'group' | 'settings' | 'trace'>
type Said = Outcome | typeof LEFT

/**
 * Calls a listener and reads what it says: undefined if all are done, and at once if it is no promise, so that a message
 * costs no turn of the event loop. Never throws or rejects.
 */
export function callListener<Body>(
  core: ListenerCore<Body>,
  handler: Handler<Body>,
  messages: readonly ReceivedMessage<Body>[],
  context: ListenerContext,
): Consumed | undefined | Promise<Consumed | undefined> {
  if (core.trace !== undefined || consumeChannel.hasSubscribers || messages.some(isCompressed)) {
    return consumeWatched(core, handler, messages, context)
  }
  try {
    const said = handler.handle(messages, context)
    if (said === undefined) return undefined
    return isPromise(said) ? settled(core, said, messages) : consumedOf(said, messages.length)
  } catch (error) {
    return failed(core, messages, error)
  }
}

export function allDone(count: number): Consumed {
  return { doneCount: count, delayLevel: 0, suspendMs: undefined, error: undefined }
}

function isCompressed({ view }: ReceivedMessage<unknown>): boolean {
  return view.compression !== null
}

async function settled<Body>(
  core: ListenerCore<Body>,
  said: Promise<Said>,
  messages: readonly ReceivedMessage<Body>[],
): Promise<Consumed | undefined> {
  try {
    return consumedOf(await said, messages.length)
  } catch (error) {
    return failed(core, messages, error)
  }
}

// Between the entries of RocketMQ's own message trace, where it is on.
async function consumeWatched<Body>(
  core: ListenerCore<Body>,
  handler: Handler<Body>,
  messages: readonly ReceivedMessage<Body>[],
  context: ListenerContext,
): Promise<Consumed | undefined> {
  const { clock } = core.instance
  const started = clock.elapsed()
  const endTrace = core.trace?.begin(messages)
  const consumed = await consumeLater(core, handler, messages, context)
  const tookMs = clock.elapsed() - started
  endTrace?.(outcomeOf(consumed, tookMs >= core.settings.consumeTimeoutMs), tookMs)
  return consumed
}

// Apache's ConsumeReturnType, in its order.
function outcomeOf(consumed: Consumed | undefined, isLate: boolean): TracedOutcome {
  if (consumed?.error !== undefined) return 'exception'
  if (isLate) return 'timeout'
  return consumed === undefined ? 'success' : 'failed'
}

async function consumeLater<Body>(
  core: ListenerCore<Body>,
  handler: Handler<Body>,
  messages: readonly ReceivedMessage<Body>[],
  context: ListenerContext,
): Promise<Consumed | undefined> {
  try {
    for (const { view } of messages) if (view.compression !== null) await view.readBody()
    const call = async (): Promise<Said> => await handler.handle(messages, context)
    const said = consumeChannel.hasSubscribers ? await traced(core, call, messages) : await call()
    return consumedOf(said, messages.length)
  } catch (error) {
    return failed(core, messages, error)
  }
}

function failed<Body>(
  { group, instance }: ListenerCore<Body>,
  messages: readonly ReceivedMessage<Body>[],
  error: unknown,
): Consumed {
  instance.log.warn({ group, messageId: messages[0]?.messageId, error: String(error) }, 'listener failed')
  return { doneCount: 0, delayLevel: 0, suspendMs: undefined, error }
}

function consumedOf(said: Said, count: number): Consumed | undefined {
  if (said === LEFT) return { ...allDone(0), isLeft: true }
  const retry = said?.retry
  if (retry === undefined) return undefined
  const { from = 0, delayLevel = 0, suspendMs } = retry
  return {
    // Whoever gives no sensible number means all of them.
    doneCount: Number.isInteger(from) ? Math.min(Math.max(0, from), count) : 0,
    delayLevel: Number.isInteger(delayLevel) ? delayLevel : 0,
    suspendMs: suspendMs !== undefined && suspendMs >= 0 ? suspendMs : undefined,
    error: undefined,
  }
}

async function traced<Body>(
  { instance, group, settings }: ListenerCore<Body>,
  call: () => Promise<Said>,
  messages: readonly ReceivedMessage<Body>[],
): Promise<Said> {
  const { clientId, options } = instance
  const { namespace } = options
  const event: ConsumeEvent = {
    clientId,
    namespace,
    group: unwrapNamespace(namespace, group),
    topic: messages[0]?.topic ?? '',
    broadcast: settings?.broadcast ?? false,
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
    const said = await call()
    event.outcome = consumedOf(said, messages.length) === undefined ? 'ack' : 'retry'
    return said
  })
}

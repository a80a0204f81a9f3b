import { consumeChannel } from '../diagnostics.ts'
import type { MessageQueue } from '../message.ts'
import type { ConsumerCore } from './consumer-core.ts'
import type { ReceivedMessage } from './received-message.ts'

/** What a listener may say of its messages. Nothing, or undefined, means that all are done; so does `true`. */
export interface Retry {
  readonly retry: {
    /** 0 or absent: the broker decides by how often it was tried; 1 to 18 of its table; -1: to the dead letters at once. */
    readonly delayLevel?: number
    /** Of a batch: this one and those behind it. Default 0, all. */
    readonly from?: number
    /** Orderly: how long the queue rests, milliseconds. */
    readonly suspendMs?: number
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

/** How one call of a listener ended. */
export interface Consumed {
  /** Messages before this one are done; those from here on are to come again. */
  readonly doneCount: number
  readonly delayLevel: number
  readonly suspendMs: number | undefined
  /** What it threw, if it did. */
  readonly error: unknown
}

/** Calls a listener and reads what it says. Never rejects. */
export async function consume<Body>(
  core: Pick<ConsumerCore<Body>, 'instance' | 'group' | 'stats'>,
  listener: Listener<Body>,
  messages: readonly ReceivedMessage<Body>[],
  context: ListenerContext,
): Promise<Consumed> {
  const { clock } = core.instance
  const started = clock.now()
  const consumed = await called(core, listener, messages, context)
  const isOk = consumed.doneCount === messages.length
  core.stats.consumed(messages[0]?.topic ?? '', messages.length, clock.now() - started, isOk)
  return consumed
}

async function called<Body>(
  core: Pick<ConsumerCore<Body>, 'instance' | 'group'>,
  listener: Listener<Body>,
  messages: readonly ReceivedMessage<Body>[],
  context: ListenerContext,
): Promise<Consumed> {
  try {
    for (const { view } of messages) if (view.compression !== null) await view.readBody()
    const call = async (): Promise<Outcome> => await listener(messages, context)
    const outcome = consumeChannel.hasSubscribers
      ? await traced(core, call, messages)
      : await listener(messages, context)
    return consumedOf(outcome, messages.length)
  } catch (error) {
    const { group, instance } = core
    instance.log.warn({ group, messageId: messages[0]?.messageId, error: String(error) }, 'listener failed')
    return { doneCount: 0, delayLevel: 0, suspendMs: undefined, error }
  }
}

function consumedOf(outcome: Outcome, count: number): Consumed {
  const retry = outcome?.retry
  if (retry === undefined) return { doneCount: count, delayLevel: 0, suspendMs: undefined, error: undefined }
  const doneCount = Math.min(Math.max(0, retry.from ?? 0), count)
  return { doneCount, delayLevel: retry.delayLevel ?? 0, suspendMs: retry.suspendMs, error: undefined }
}

async function traced<Body>(
  { instance, group }: Pick<ConsumerCore<Body>, 'instance' | 'group'>,
  call: () => Promise<Outcome>,
  messages: readonly ReceivedMessage<Body>[],
): Promise<Outcome> {
  const seen = messages.map(({ messageId, properties, queue, queueOffset, view, reconsumeTimes }) => ({
    messageId,
    properties,
    queue,
    queueOffset,
    bodyLength: view.storedBody.length,
    reconsumeTimes,
  }))
  const event = { clientId: instance.clientId, group, topic: messages[0]?.topic ?? '', messages: seen }
  return await consumeChannel.tracePromise(call, event)
}

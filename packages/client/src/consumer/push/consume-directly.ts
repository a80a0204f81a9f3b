import { inspect } from 'node:util'
import type { ConsumeMessageDirectlyResult } from '@gantrymq/protocol'
import { within } from '../../deadline.ts'
import type { ConsumerCore } from './context.ts'
import { callListener, type Consumed, type Handler } from './listener.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'

/** Brokers wait for 10 s. */
const TIMEOUT_MS = 9500

/** Hands a message to the listener because an operator wants it, outside of queues, retries and offsets. Never rejects. */
export async function consumeDirectly<Body>(
  core: ConsumerCore<Body>,
  handler: Handler<Body>,
  message: ReceivedMessage<Body>,
): Promise<ConsumeMessageDirectlyResult> {
  const { clock } = core.instance
  const started = clock.elapsed()
  const late = new AbortController()
  const call = Promise.resolve(callListener(core, handler, [message], { queue: message.queue, signal: late.signal }))
  const consumed = await within(clock, call, TIMEOUT_MS, undefined, 'the listener').catch(failure)
  late.abort()
  return {
    order: core.consumption.orderly,
    autoCommit: true,
    spentTimeMills: clock.elapsed() - started,
    ...resultOf(consumed),
  }
}

function failure(error: unknown): Consumed {
  return { doneCount: 0, delayLevel: 0, suspendMs: undefined, error }
}

function resultOf(consumed: Consumed | undefined): Pick<ConsumeMessageDirectlyResult, 'consumeResult' | 'remark'> {
  if (consumed === undefined) return { consumeResult: 'CR_SUCCESS' }
  if (consumed.error === undefined) return { consumeResult: consumed.doneCount > 0 ? 'CR_SUCCESS' : 'CR_LATER' }
  const { error } = consumed
  const remark = error instanceof Error ? (error.stack ?? error.message) : inspect(error)
  return { consumeResult: 'CR_THROW_EXCEPTION', remark }
}

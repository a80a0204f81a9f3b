import { inspect } from 'node:util'
import type { ConsumeMessageDirectlyResult } from '@gantrymq/protocol'
import { within } from '../../deadline.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import type { PushContext } from './context.ts'
import { callListener, type CallResult, type MessageHandler } from './listener.ts'

/** Less than the 10 s that brokers wait. */
const TIMEOUT_MS = 9500

/**
 * Hands a message to the listener at an operator's request, without a queue, a retry or an offset: Apache's
 * consumeMessageDirectly. Never rejects.
 */
export async function consumeDirectly<Body>(
  context: PushContext,
  handler: MessageHandler<Body>,
  message: ReceivedMessage<Body>,
): Promise<ConsumeMessageDirectlyResult> {
  const { clock } = context.instance
  const started = clock.elapsed()
  const late = new AbortController()
  const call = callListener(context, handler, [message], { queue: message.queue, signal: late.signal })
  const result = await within(clock, Promise.resolve(call), TIMEOUT_MS, undefined, 'the listener').catch(timedOut)
  late.abort()
  return {
    order: context.settings.orderly,
    autoCommit: true,
    spentTimeMills: clock.elapsed() - started,
    ...directResult(result),
  }
}

function timedOut(error: unknown): CallResult {
  return { doneCount: 0, delayLevel: 0, suspendMs: undefined, error }
}

function directResult(result: CallResult | undefined): Pick<ConsumeMessageDirectlyResult, 'consumeResult' | 'remark'> {
  if (result === undefined) return { consumeResult: 'CR_SUCCESS' }
  if (result.error === undefined) return { consumeResult: result.doneCount > 0 ? 'CR_SUCCESS' : 'CR_LATER' }
  const { error } = result
  const remark = error instanceof Error ? (error.stack ?? error.message) : inspect(error)
  return { consumeResult: 'CR_THROW_EXCEPTION', remark }
}

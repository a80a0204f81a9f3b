import { randomInt } from 'node:crypto'
import { PROPERTY, UniqueIds } from '@gantrymq/protocol'
import type { Clock } from '@gantrymq/remoting'
import { ownAddress } from '../instance/client-id.ts'
import type { TraceDispatcher } from './dispatcher.ts'
import { contextCodes } from './entries.ts'
import { GroupTrace } from './group-trace.ts'

/** A message that is passed to a listener. */
export interface TracedMessage {
  readonly messageId: string
  readonly reconsumeTimes: number
  property(name: string): string | undefined
}

/** The outcome of a listener. */
export type TracedOutcome = 'success' | 'timeout' | 'exception' | 'failed'

/** Writes RocketMQ's message trace of a consumer: Apache's ConsumeMessageTraceHookImpl. */
export class ConsumerTrace extends GroupTrace {
  readonly #ids: UniqueIds

  /** @param group With or without the namespace. */
  constructor(dispatcher: TraceDispatcher, clock: Clock, namespace: string, group: string) {
    super(dispatcher, clock, namespace, group)
    this.#ids = new UniqueIds({ clock, ip: ownAddress(), pid: process.pid, seed: randomInt(1, 2 ** 31) })
  }

  /**
   * Traces the start of a listener's call. Returns a function to call at its end, with the duration of the whole call.
   */
  begin(messages: readonly TracedMessage[]): (outcome: TracedOutcome, costMs: number) => void {
    const traced = messages.filter(message => message.property(PROPERTY.TRACE_ON) !== 'false')
    const requestId = this.#ids.next()
    const entries = traced.map(message => ({
      kind: 'SubBefore' as const,
      requestId,
      ...this.head(message.property(PROPERTY.MSG_REGION)),
      messageId: message.messageId,
      retryTimes: message.reconsumeTimes,
      keys: message.property(PROPERTY.KEYS),
    }))
    this.dispatcher.append(entries)
    return (outcome, costMs) => {
      const common = { requestId, group: this.group, at: this.clock.now(), ok: outcome === 'success' }
      const each = { kind: 'SubAfter' as const, ...common }
      const cost = Math.trunc(costMs / messages.length)
      const contextCode = contextCodes[outcome]
      this.dispatcher.append(
        entries.map(({ messageId, keys }) => ({ ...each, messageId, keys, costMs: cost, contextCode })),
      )
    }
  }
}

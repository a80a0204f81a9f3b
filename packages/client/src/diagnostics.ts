import { tracingChannel } from 'node:diagnostics_channel'
import type { MessageQueue, OutgoingMessage, SendReceipt } from './message.ts'

/**
 * What subscribers of `tracing:gantry:client:send:*` see of a send. `properties` may be added to until it starts: that is
 * how trace contexts travel.
 */
export interface SendEvent {
  readonly clientId: string
  readonly group: string
  readonly kind: 'send' | 'oneway' | 'batch' | 'transaction' | 'request' | 'reply'
  readonly topic: string
  /** The first of a batch stands for all. */
  readonly message: OutgoingMessage<unknown>
  readonly count: number
  readonly properties: Record<string, string>
  /** Set at the end, when it was stored. */
  receipt?: SendReceipt
}

/** What subscribers of `tracing:gantry:client:pull:*` see of a pull or pop. */
export interface PullEvent {
  readonly clientId: string
  readonly group: string
  readonly queue: MessageQueue
  readonly offset: number
  /** Set at the end: how many messages came. */
  count?: number
}

/** What subscribers of `tracing:gantry:client:consume:*` see of one call of a listener. */
export interface ConsumeEvent {
  readonly clientId: string
  readonly group: string
  readonly topic: string
  readonly messages: readonly {
    readonly messageId: string
    readonly properties: ReadonlyMap<string, string>
    readonly queue: MessageQueue
    readonly queueOffset: number
    readonly bodyLength: number
    readonly reconsumeTimes: number
  }[]
  /** Set at the end. */
  outcome?: 'ack' | 'retry'
}

export const sendChannel = tracingChannel<unknown, SendEvent>('gantry:client:send')
export const pullChannel = tracingChannel<unknown, PullEvent>('gantry:client:pull')
export const consumeChannel = tracingChannel<unknown, ConsumeEvent>('gantry:client:consume')

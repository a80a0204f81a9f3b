import type { ClientOptions } from '../../instance/instance-options.ts'
import type { Codec } from '../../message/codec.ts'
import type { MessageQueue } from '../../message/message.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import type { GivenOf } from '../../options.ts'
import type { Expression } from '../group/subscription.ts'
import type { Listener, ListenerContext, Outcome } from './listener.ts'
import type { pushOptions } from './settings.ts'

/** The options of a push consumer. */
export interface PushConsumerOptions<Body = Buffer> extends ClientOptions, GivenOf<typeof pushOptions> {
  /** Name of the consumer group. Each message goes to one member of each group. */
  readonly group: string
  /** The topics to consume, each with `*` for all messages, tags such as `new || paid`, or a filter `{ sql: 'amount > 5' }`. */
  readonly subscriptions: Readonly<Record<string, Expression>>
  /** Decodes message bodies. Default: bodies stay bytes. */
  readonly codec?: Codec<Body> | undefined
  /** Consumes one message. If it throws, the message is redelivered later. */
  readonly onMessage?:
    | ((message: ReceivedMessage<Body>, context: ListenerContext) => Outcome | Promise<Outcome>)
    | undefined
  /** Consumes up to `batchSize` messages of one queue. Without this and `onMessage`, iterate over the consumer. */
  readonly onMessages?: Listener<Body> | undefined
  /** Called when the queues of a topic that this member consumes have changed. */
  readonly onQueues?: ((topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]) => void) | undefined
}

/** What a push consumer has done since it started, and what it holds now. */
export interface PushConsumerStats {
  readonly pulled: number
  /** Messages that listeners have finished, at the first or a later delivery. */
  readonly consumed: number
  /** Messages whose listener failed, counted at each delivery. */
  readonly failed: number
  /** Messages that could not be read and were skipped. */
  readonly skipped: number
  /** Messages in memory that are not done. */
  readonly queued: number
  /** Running listeners; for orderly consumers, queues that are being consumed. */
  readonly running: number
}

import type { Codec } from '../../message/codec.ts'
import type { ClientOptions } from '../../instance/instance-options.ts'
import type { MessageQueue } from '../../message/message.ts'
import type { GivenOf } from '../../options.ts'
import type { Listener, ListenerContext, Outcome } from './listener.ts'
import type { pushOptions } from './settings.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import type { Expression } from '../subscription.ts'

/** What a push consumer is started with. */
export interface PushConsumerOptions<Body = Buffer> extends ClientOptions, GivenOf<typeof pushOptions> {
  /** Name of the group. Its members share the messages; each group gets all of them. */
  readonly group: string
  /** Topics, each with what is wanted of it: `*`, tags such as `new || paid`, or `{ sql: 'amount > 5' }`. */
  readonly subscriptions: Readonly<Record<string, Expression>>
  /** Makes bodies of bytes. Default: bodies are bytes. */
  readonly codec?: Codec<Body> | undefined
  /** Consumes one message. What it throws means that the message comes again later. */
  readonly onMessage?:
    | ((message: ReceivedMessage<Body>, context: ListenerContext) => Outcome | Promise<Outcome>)
    | undefined
  /** Consumes up to `batchSize` messages of one queue. Without this and `onMessage` the consumer is iterated over. */
  readonly onMessages?: Listener<Body> | undefined
  /** Told when this member's queues of a topic have changed. */
  readonly onQueues?: ((topic: string, all: readonly MessageQueue[], mine: readonly MessageQueue[]) => void) | undefined
}

/** What a push consumer has done since it started, and holds now. */
export interface PushConsumerStats {
  readonly pulled: number
  /** Done at the first or a later try. */
  readonly consumed: number
  /** Calls of listeners that failed, in messages. */
  readonly failed: number
  /** Could not be read, and were passed over. */
  readonly skipped: number
  /** Messages in memory that are not done. */
  readonly queued: number
  /** Listeners that run now; in order, queues that are consumed now. */
  readonly running: number
}

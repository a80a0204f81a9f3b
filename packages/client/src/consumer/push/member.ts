import {
  type ConsumeMessageDirectlyResult,
  type ConsumerData,
  type ConsumerRunningInfo,
  type QueueOffset,
  readMessages,
} from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import type { ConsumerMember } from '../../instance/instance-members.ts'
import type { MessageMaker } from '../../message/received-message.ts'
import type { Membership } from '../group/membership.ts'
import { runningInfo } from '../group/running-info.ts'
import type { Subscriptions } from '../group/subscriptions.ts'
import { consumeFromWhere } from '../offsets/start-offset.ts'
import type { HeldQueue } from '../queue/held-queue.ts'
import type { HeldQueues } from '../queue/held-queues.ts'
import type { Rebalancer } from '../rebalance/rebalancer.ts'
import { consumeDirectly } from './consume-directly.ts'
import type { Consumption } from './consumption.ts'
import type { PushContext } from './context.ts'
import type { MessageHandler } from './listener.ts'
import { pushTable } from './settings.ts'

export interface PushMemberOptions<Body, H extends HeldQueue> {
  readonly context: PushContext
  readonly membership: Membership
  readonly subscriptions: Subscriptions
  readonly held: HeldQueues<H>
  readonly rebalancer: Rebalancer<H>
  readonly consumption: Consumption<Body>
  readonly handler: MessageHandler<Body>
  readonly toMessage: MessageMaker<Body>
}

/** A push consumer as the client instance sees it: what heartbeats say about it, and the requests it answers. */
export class PushMember<Body, H extends HeldQueue> implements ConsumerMember {
  readonly kind = 'consumer'
  readonly group: string
  readonly #options: PushMemberOptions<Body, H>
  /** Resets of offsets that are under way. */
  readonly #resets = new Set<Promise<void>>()

  constructor(options: PushMemberOptions<Body, H>) {
    this.#options = options
    this.group = options.context.group
  }

  /** Resolves when no reset of offsets is under way. */
  get quiet(): Promise<unknown> {
    return Promise.allSettled(this.#resets)
  }

  describe(): ConsumerData {
    const { context, subscriptions } = this.#options
    const { broadcast, consumeFrom, unitMode } = context.settings
    return {
      groupName: this.group,
      consumeType: 'CONSUME_PASSIVELY',
      messageModel: broadcast ? 'BROADCASTING' : 'CLUSTERING',
      consumeFromWhere: consumeFromWhere(consumeFrom),
      subscriptionDataSet: subscriptions.list,
      unitMode,
    }
  }

  heartbeatEnded(address: string, error: unknown): void {
    this.#options.membership.health.heartbeatEnded(address, error)
  }

  rebalance(): void {
    this.#options.rebalancer.request()
  }

  /** Ignores queues of other members. */
  async resetOffsets(topic: string, offsets: readonly QueueOffset[]): Promise<void> {
    await Promise.all(offsets.filter(({ queue }) => queue.topic === topic).map(each => this.#reset(each)))
  }

  /** If several resets of a queue arrive while its listener is busy, the queue restarts once, from the last offset. */
  async #reset({ queue, offset }: QueueOffset): Promise<void> {
    const { held, rebalancer } = this.#options
    const found = held.find(queue)
    if (found === undefined) return
    const reset = rebalancer.restart(found, offset)
    this.#resets.add(reset)
    await reset
    this.#resets.delete(reset)
  }

  offsets(topic: string): readonly QueueOffset[] {
    const { held, context } = this.#options
    return [...held]
      .filter(({ queue, isDropped }) => queue.topic === topic && !isDropped)
      .map(({ queue }) => ({ queue, offset: context.offsets.peek(queue) }))
  }

  runningInfo(withStack: boolean): ConsumerRunningInfo {
    const { context, membership, held, subscriptions, consumption } = this.#options
    const { settings, offsets } = context
    return runningInfo({
      membership,
      settings,
      table: pushTable,
      queues: [...held],
      offsets,
      subscriptions: subscriptions.list,
      consumption,
      withStack,
    })
  }

  async consumeDirectly(message: Buffer, brokerName: string | undefined): Promise<ConsumeMessageDirectlyResult> {
    const { context, handler, toMessage } = this.#options
    const [view] = readMessages(message, () => {})
    if (view === undefined) throw new ClientError('BAD_BODY', 'the message to consume cannot be read')
    const queue = { topic: view.topic, brokerName: brokerName ?? '', queueId: view.queueId }
    return await consumeDirectly(context, handler, toMessage(view, queue))
  }
}

import {
  type ConsumeMessageDirectlyResult,
  type ConsumerData,
  type ConsumerRunningInfo,
  type MessageView,
  type QueueOffset,
  readMessages,
} from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import type { ConsumerMember } from '../../instance/instance-members.ts'
import type { MessageQueue } from '../../message/message.ts'
import { consumeDirectly } from './consume-directly.ts'
import type { ConsumerCore } from './context.ts'
import type { Handler } from './listener.ts'
import { consumeFromWhere } from '../offsets/start-offset.ts'
import type { Membership } from '../group/membership.ts'
import type { PopWork } from '../pop/popped-queue.ts'
import { pushTable } from './settings.ts'
import type { QueueWork } from './pulled-queue.ts'
import type { Rebalancer } from '../rebalance/rebalancer.ts'
import type { ReceivedMessage } from '../../message/received-message.ts'
import { runningInfo } from '../group/running-info.ts'
import type { Subscriptions } from '../group/subscriptions.ts'

/** Work on one of its queues. */
export type PushWork<Body> = QueueWork<Body> | PopWork<Body>

export interface PushMemberOptions<Body> {
  readonly core: ConsumerCore<Body>
  readonly membership: Membership
  readonly rebalancer: Rebalancer<PushWork<Body>>
  readonly subscriptions: Subscriptions
  readonly handler: Handler<Body>
  readonly toMessage: (view: MessageView, queue: MessageQueue) => ReceivedMessage<Body>
}

/** A push consumer as its instance knows it: what heartbeats tell of it, and what brokers and operators ask of it. */
export class PushMember<Body> implements ConsumerMember {
  readonly kind = 'consumer'
  readonly group: string
  readonly #options: PushMemberOptions<Body>
  /** Resets under way. */
  readonly #resetting = new Set<Promise<void>>()

  constructor(options: PushMemberOptions<Body>) {
    this.#options = options
    this.group = options.core.group
  }

  /** Resolves when no offsets are being reset. */
  get quiet(): Promise<unknown> {
    return Promise.allSettled(this.#resetting)
  }

  describe(): ConsumerData {
    const { core, subscriptions } = this.#options
    const { broadcast, consumeFrom, unitMode } = core.settings
    return {
      groupName: this.group,
      consumeType: 'CONSUME_PASSIVELY',
      messageModel: broadcast ? 'BROADCASTING' : 'CLUSTERING',
      consumeFromWhere: consumeFromWhere(consumeFrom),
      subscriptionDataSet: subscriptions.told,
      unitMode,
    }
  }

  rebalance(): void {
    this.#options.rebalancer.request()
  }

  /** Queues of other members are left alone. */
  async resetOffsets(topic: string, offsets: readonly QueueOffset[]): Promise<void> {
    await Promise.all(offsets.filter(({ queue }) => queue.topic === topic).map(each => this.#reset(each)))
  }

  /** Of several that are asked for while a listener takes its time the last one counts: the queue begins anew once. */
  async #reset({ queue, offset }: QueueOffset): Promise<void> {
    const { rebalancer } = this.#options
    const work = rebalancer.find(queue)
    if (work === undefined) return
    const reset = rebalancer.restart(work, offset)
    this.#resetting.add(reset)
    await reset
    this.#resetting.delete(reset)
  }

  offsets(topic: string): readonly QueueOffset[] {
    const { rebalancer, core } = this.#options
    return [...rebalancer.held]
      .filter(({ queue, isDropped }) => queue.topic === topic && !isDropped)
      .map(({ queue }) => ({ queue, offset: core.offsets.peek(queue) }))
  }

  runningInfo(withStack: boolean): ConsumerRunningInfo {
    const { core, membership, rebalancer, subscriptions } = this.#options
    const { settings, offsets, consumption } = core
    const works = [...rebalancer.held]
    const { told } = subscriptions
    return runningInfo({
      membership,
      settings,
      table: pushTable,
      works,
      offsets,
      subscriptions: told,
      consumption,
      withStack,
    })
  }

  async consumeDirectly(message: Buffer, brokerName: string | undefined): Promise<ConsumeMessageDirectlyResult> {
    const { core, handler, toMessage } = this.#options
    const [view] = readMessages(message, () => {})
    if (view === undefined) throw new ClientError('BAD_BODY', 'the message to consume cannot be read')
    const queue = { topic: view.topic, brokerName: brokerName ?? '', queueId: view.queueId }
    return await consumeDirectly(core, handler, toMessage(view, queue))
  }
}

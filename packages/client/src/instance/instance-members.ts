import type { ConsumeMessageDirectlyResult, ConsumerData, ConsumerRunningInfo, QueueOffset } from '@gantrymq/protocol'

/** A broker's question about the outcome of a transaction (CHECK_TRANSACTION_STATE). */
export interface TransactionCheck {
  /** The stored half message, encoded. */
  readonly message: Buffer
  /** `ip:port` of the broker that asked, which gets the answer. */
  readonly address: string
  readonly topic: string | undefined
  readonly brokerName: string | undefined
  readonly tranStateTableOffset: number
  readonly commitLogOffset: number
  readonly messageId: string | undefined
  readonly transactionId: string | undefined
}

/** A reply to a request message of this client, pushed by the broker (PUSH_REPLY_MESSAGE_TO_CLIENT). */
export interface PushedReply {
  readonly topic: string
  readonly queueId: number
  readonly flag: number
  readonly sysFlag: number
  readonly bornTimestamp: number
  readonly bornHost: string | undefined
  readonly storeTimestamp: number
  readonly storeHost: string | undefined
  readonly properties: string | undefined
  readonly reconsumeTimes: number
  readonly body: Buffer
}

/** What an instance knows of a producer. */
export interface ProducerMember {
  readonly kind: 'producer'
  /** With its namespace. */
  readonly group: string
  /** True if the message is of this producer's group. Never throws: the producer reports its own failures. */
  checkTransaction(check: TransactionCheck): boolean
  /** True if a request of this producer waits for the reply. */
  takeReply(reply: PushedReply): boolean
}

/** What an instance knows of a consumer. */
export interface ConsumerMember {
  readonly kind: 'consumer'
  /** With its namespace. */
  readonly group: string
  /** The consumer's entry in heartbeats. */
  describe(): ConsumerData
  /** Called when a heartbeat to a broker has ended, with the error if it failed. */
  heartbeatEnded?(address: string, error: unknown): void
  /** Called when the group's members or queues may have changed. Returns at once. */
  rebalance(): void
  /** Moves queues of a topic to the offsets that an operator has set. Undefined for consumers that cannot. */
  resetOffsets?(topic: string, offsets: readonly QueueOffset[]): Promise<void>
  /** The offsets reached in the queues of a topic. */
  offsets(topic: string): readonly QueueOffset[]
  runningInfo(withStack: boolean): ConsumerRunningInfo
  /** Passes a stored message to the listener, without queues and offsets. Undefined for consumers without a listener. */
  consumeDirectly?(message: Buffer, brokerName: string | undefined): Promise<ConsumeMessageDirectlyResult>
}

export type Member = ProducerMember | ConsumerMember

/** The producers and consumers of an instance. */
export class InstanceMembers implements Iterable<Member> {
  readonly #members = new Set<Member>()

  get size(): number {
    return this.#members.size
  }

  [Symbol.iterator](): Iterator<Member> {
    return this.#members.values()
  }

  add(member: Member): void {
    this.#members.add(member)
  }

  /** False if it was not there. */
  delete(member: Member): boolean {
    return this.#members.delete(member)
  }

  get producers(): ProducerMember[] {
    return [...this.#members].filter(member => member.kind === 'producer')
  }

  get consumers(): ConsumerMember[] {
    return [...this.#members].filter(member => member.kind === 'consumer')
  }

  /** The consumer of a group: there is one at most, see `acquireInstance`. */
  consumer(group: string): ConsumerMember | undefined {
    return this.consumers.find(member => member.group === group)
  }

  /** True if there is a member of the same kind and group. */
  hasGroupOf({ kind, group }: Member): boolean {
    return [...this.#members].some(other => other.kind === kind && other.group === group)
  }
}

import type { ConsumeMessageDirectlyResult, ConsumerData, ConsumerRunningInfo, QueueOffset } from '@gantrymq/protocol'

/** A broker asks what became of a transaction (CHECK_TRANSACTION_STATE). */
export interface TransactionCheck {
  /** The stored half message, as bytes. */
  readonly message: Buffer
  /** Whom to tell: `ip:port` of the broker that asked. */
  readonly address: string
  readonly topic: string | undefined
  readonly brokerName: string | undefined
  readonly tranStateTableOffset: number
  readonly commitLogOffset: number
  readonly messageId: string | undefined
  readonly transactionId: string | undefined
}

/** A reply to a request of ours, pushed by the broker (PUSH_REPLY_MESSAGE_TO_CLIENT). */
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

/** A producer, as the instance knows it. */
export interface ProducerMember {
  readonly kind: 'producer'
  /** With its namespace. */
  readonly group: string
  /** True if the message is of its group. Never throws: what goes wrong is its own to report. */
  checkTransaction(check: TransactionCheck): boolean
  /** True if somebody waits for it. */
  takeReply(reply: PushedReply): boolean
}

/** A consumer, as the instance knows it. */
export interface ConsumerMember {
  readonly kind: 'consumer'
  /** With its namespace. */
  readonly group: string
  /** What heartbeats tell of it. */
  describe(): ConsumerData
  /** The group's members or queues may have changed. Returns at once. */
  rebalance(): void
  /** Moves queues of a topic to other offsets, as an operator asked. Undefined for consumers that cannot. */
  resetOffsets?(topic: string, offsets: readonly QueueOffset[]): Promise<void>
  /** The offsets reached in the queues of a topic. */
  offsets(topic: string): readonly QueueOffset[]
  runningInfo(withStack: boolean): ConsumerRunningInfo
  /** Hands a stored message to the listener, outside of queues and offsets. Undefined for consumers without listener. */
  consumeDirectly?(message: Buffer, brokerName: string | undefined): Promise<ConsumeMessageDirectlyResult>
}

export type Member = ProducerMember | ConsumerMember

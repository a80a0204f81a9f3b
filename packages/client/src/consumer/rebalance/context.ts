import type { AssignmentStrategy, MessageRequestMode } from '@gantrymq/protocol'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { MessageQueue } from '../../message/message.ts'
import type { OffsetStore } from '../offsets/offset-store.ts'

/** What rebalancing needs of a consumer. */
export interface RebalanceContext {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  readonly offsets: OffsetStore
  /** The topics whose queues are assigned to the members, with their namespaces. */
  readonly subscriptions: ReadonlyMap<string, unknown>
  readonly settings: {
    readonly rebalanceMs: number
    readonly broadcast: boolean
    readonly allocate: AssignmentStrategy
  }
}

/** A queue that is assigned to this member, and whether to pull or to pop it. */
export interface AssignedQueue {
  readonly queue: MessageQueue
  readonly mode: MessageRequestMode
}

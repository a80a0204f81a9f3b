import type { Clock, Logger } from '@gantrymq/remoting'
import type { Change } from './broker-changes.ts'
import type { Journal } from './journal.ts'
import type { KvStore } from './kv-store.ts'
import type { LastBodies } from './last-bodies.ts'
import type { NameServerMetrics } from './metrics.ts'
import type { RouteBodies } from './route-bodies.ts'
import type { RouteTable } from './route-table.ts'
import type { Settings } from './settings.ts'
import type { RequestOrder } from './turns.ts'

/** What the handlers of a name server work on. */
export interface NameServerContext {
  readonly routes: RouteTable
  readonly bodies: RouteBodies
  readonly lastBodies: LastBodies
  readonly order: RequestOrder
  readonly kv: KvStore
  readonly settings: Settings
  readonly journal: Journal
  readonly metrics: NameServerMetrics
  readonly clock: Clock
  readonly log: Logger
  /** Whether route queries are answered yet (needWaitForService). */
  readonly isReady: () => boolean
  /** Whether a connection is still there. A registration that outlives its connection must not register anybody. */
  readonly isConnected: (peer: number) => boolean
  /** Tells brokers of a new lowest broker id; does not wait for them. */
  readonly announce: (changes: readonly Change[]) => void
}

import type { ServerSettings, TurnBudget } from '@gantrymq/daemon'
import type { Clock, Logger } from '@gantrymq/remoting'
import type { MinBrokerChange, Removal } from './registry/broker-changes.ts'
import type { RegistryLog } from './registry-log.ts'
import type { KvStore } from './kv/kv-store.ts'
import type { InflationLimit } from './registration/inflation-limit.ts'
import type { LastBodies } from './registration/last-bodies.ts'
import type { NameServerMetrics } from './metrics/name-server-metrics.ts'
import type { NameServerOptions } from './options.ts'
import type { RouteBodies } from './answers/route-bodies.ts'
import type { RouteTable } from './registry/route-table.ts'
import type { RequestOrder } from './request-order.ts'

/** The kinds of work that a name server does in slices. */
export type Lane = 'registration' | 'departure' | 'answer'

export const LANES: readonly Lane[] = ['registration', 'departure', 'answer']

/** What the handlers of a name server work on. */
export interface NameServerContext {
  readonly routes: RouteTable
  readonly bodies: RouteBodies
  readonly lastBodies: LastBodies
  readonly inflationLimit: InflationLimit
  readonly order: RequestOrder
  readonly turns: TurnBudget<Lane>
  readonly kv: KvStore
  readonly settings: ServerSettings<NameServerOptions>
  readonly registryLog: RegistryLog
  readonly metrics: NameServerMetrics
  readonly clock: Clock
  readonly log: Logger
  /** Whether route queries are answered yet (needWaitForService). */
  readonly isReady: () => boolean
  /** Logs brokers that left, and drops their topics; the caller does not wait for that. */
  readonly removed: (removal: Removal) => void
  /** Notifies brokers of a new lowest broker id, without waiting for them. */
  readonly announce: (changes: readonly MinBrokerChange[]) => void
}

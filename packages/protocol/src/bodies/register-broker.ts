import type { DataVersion } from '../data-version.ts'
import type { TopicConfig } from './topic-config.ts'
import type { TopicQueueMappingInfo } from './topic-route.ts'

/** What a broker tells of itself: Apache's RegisterBrokerBody. */
export interface RegisterBrokerBody {
  readonly dataVersion: DataVersion
  /** By topic name. */
  readonly topics: ReadonlyMap<string, TopicConfig>
  /** 5.x, static topics; by topic name. */
  readonly topicQueueMappings: ReadonlyMap<string, TopicQueueMappingInfo>
  /** Null: the broker is too old to know of filter servers and their table is left alone. */
  readonly filterServers: readonly string[] | null
}

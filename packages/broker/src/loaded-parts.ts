import { join } from 'node:path'
import { openServerTls, type OpenServerTls, ServerSettings, storeInFile } from '@gantrymq/daemon'
import type { TopicConfig } from '@gantrymq/protocol'
import type { AwakeClock, Logger } from '@gantrymq/remoting'
import { type Disk, MessageStore, WholeFiles } from '@gantrymq/store'
import { DelayOffsets } from './delays/delay-offsets.ts'
import { Groups } from './groups/groups.ts'
import { OffsetFile } from './offsets/offset-file.ts'
import { type BrokerOptions, brokerOptions } from './options.ts'
import { storeOptions } from './store-options.ts'
import { Topics } from './topics/topics.ts'

/** The parts that are loaded from disk before the broker is put together. */
export interface LoadedParts {
  readonly clock: AwakeClock
  readonly settings: ServerSettings<BrokerOptions>
  readonly topics: Topics
  readonly groups: Groups
  readonly offsets: OffsetFile
  readonly delayOffsets: DelayOffsets
  readonly store: MessageStore
  readonly tls: OpenServerTls
}

export interface Loading {
  readonly log: Logger
  readonly clock: AwakeClock
  readonly unknownKeys: ReadonlyMap<string, string> | undefined
  readonly disk: Disk | undefined
  readonly onTopics: (changed: readonly TopicConfig[]) => void
  readonly onOptions: (before: BrokerOptions, after: BrokerOptions) => void
}

export async function loadParts(options: BrokerOptions, loading: Loading): Promise<LoadedParts> {
  const { log, clock, unknownKeys, disk, onTopics, onOptions } = loading
  let current = options
  const settings = new ServerSettings(brokerOptions, options, {
    ...(unknownKeys && { unknown: unknownKeys }),
    ...(options.brokerConfigPath !== null && { store: storeInFile(options.brokerConfigPath) }),
    onChange: changed => {
      const before = current
      current = changed
      onOptions(before, changed)
    },
    log,
  })
  const stored = storeOptions(options, { disk, clock, log })
  const file = (name: string) => join(stored.root, 'config', name)
  const of = { settings: () => settings.options, files: new WholeFiles(stored.disk), clock, log }
  // The store comes first: it claims the folder, so that no other broker changes the tables meanwhile.
  const store = await MessageStore.open(stored)
  try {
    const [topics, groups, offsets, delayOffsets, tls] = await Promise.all([
      Topics.open({ ...of, path: file('topics.json'), onChange: onTopics }),
      Groups.open({ ...of, path: file('subscriptionGroup.json') }),
      OffsetFile.open({ ...of, path: file('consumerOffset.json') }),
      DelayOffsets.open({ ...of, path: file('delayOffset.json') }),
      openServerTls(brokerOptions, options, { log, clock }),
    ])
    return { clock, settings, topics, groups, offsets, delayOffsets, store, tls }
  } catch (error) {
    await store.close()
    throw error
  }
}

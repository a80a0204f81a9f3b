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

/**
 * Opens the store, reads the tables and the certificates.
 * @throws RemotingError BAD_OPTION, TLS; StoreError; Error if a table can neither be read nor put aside. Nothing stays open then
 */
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
  const tables = [
    Topics.open({ ...of, path: file('topics.json'), onChange: onTopics }),
    Groups.open({ ...of, path: file('subscriptionGroup.json') }),
    OffsetFile.open({ ...of, path: file('consumerOffset.json') }),
    DelayOffsets.open({ ...of, path: file('delayOffset.json') }),
  ] as const
  const certificates = openServerTls(brokerOptions, options, { log, clock })
  try {
    const [topics, groups, offsets, delayOffsets, tls] = await Promise.all([...tables, certificates])
    topics.restore(store.queues())
    return { clock, settings, topics, groups, offsets, delayOffsets, store, tls }
  } catch (error) {
    // The others end first: a table that is put aside must not be in the folder of the next broker.
    await Promise.allSettled(tables)
    const tls = await certificates.catch(() => undefined)
    tls?.server?.close()
    await closeStore(store, log)
    throw error
  }
}

/** Closes the parts of which no broker was made. Never rejects. */
export async function closeLoaded({ store, tls, clock }: LoadedParts, log: Logger): Promise<void> {
  tls.server?.close()
  await closeStore(store, log)
  clock[Symbol.dispose]()
}

function closeStore(store: MessageStore, log: Logger): Promise<void> {
  return store.close().catch((error: unknown) => log.error({ err: error }, 'the store could not be closed'))
}

import { type Disk, MemoryDisk, MessageStore, type NewRecord, type OpenFile } from '@gantrymq/store'
import type { MicroCase } from './measure.ts'

/** Messages of a turn of the event loop, which leave in one write. */
const TURN = 256
const QUEUES = 16
/** A file that is never full, because nothing in the background completes while a case runs. */
const LOG_FILE_BYTES = 2 ** 40

/** A disk that discards what is written to large files: to logs, queues and indexes. */
class DiscardingDisk extends MemoryDisk {
  override create(path: string, size: number): OpenFile {
    return size < 1 << 20 ? super.create(path, size) : discarding(super.create(path, size))
  }
}

function discarding(file: OpenFile): OpenFile {
  return {
    path: file.path,
    size: file.size,
    writeSync: (_bytes, from, to) => to - from,
    write: async (_bytes, from, to) => to - from,
    readSync: (into, from, to, at) => file.readSync(into, from, to, at),
    read: (into, from, to, at) => file.read(into, from, to, at),
    datasync: () => file.datasync(),
    truncate: size => file.truncate(size),
    close: () => file.close(),
  }
}

const text = 'UNIQ_KEY\u00017F0000010A2B18B4AAC21B7F5D2E0000\u0002WAIT\u0001true\u0002TAGS\u0001TagA'
const host = Buffer.from([127, 0, 0, 1, 0, 0, 4, 210])

async function appending(bodyBytes: number): Promise<() => void> {
  let commit = (): void => {}
  const disk: Disk = new DiscardingDisk()
  const store = await MessageStore.open({
    disk,
    root: '/store',
    schedule: work => {
      commit = work
    },
    logFileBytes: LOG_FILE_BYTES,
    maxUnflushedBytes: Number.MAX_SAFE_INTEGER,
    checkpointBytes: Number.MAX_SAFE_INTEGER,
  })
  const queues = Array.from({ length: QUEUES }, (_, id) => store.queueFor('TopicA', id))
  const properties = Buffer.from(text)
  const record: NewRecord = {
    queue: store.queueFor('TopicA', 0),
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 1_700_000_000_000,
    bornHost: host,
    storeHost: host,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: Buffer.alloc(bodyBytes, 0x61),
    bodyStart: 0,
    bodyEnd: bodyBytes,
    properties,
    propertiesStart: 0,
    propertiesEnd: properties.length,
  }
  const work = (): void => {
    for (let i = 0; i < TURN; i++) {
      record.queue = queues[i % QUEUES] as typeof record.queue
      store.append(record)
    }
    commit()
  }
  work()
  await store.whenSafe(store.end)
  return work
}

/** A message into the store, without the disk: encoded, made visible, handed to its queue and to the index. */
export async function appendCases(): Promise<MicroCase[]> {
  const sizes = [128, 1024]
  const cases = sizes.map(async size => ({
    name: `append a message of ${size} B`,
    work: await appending(size),
    per: TURN,
  }))
  return Promise.all(cases)
}

import { Found } from '../message-reader.ts'
import type { MessageStore } from '../message-store.ts'
import type { NewRecord } from '../log/record-writer.ts'
import type { ConsumeQueue } from '../queues/consume-queue.ts'

const MOST_LOADS = 10_000

/** 127.0.0.1:1234 as in a record. */
const HOST = Buffer.from([127, 0, 0, 1, 0, 0, 4, 210])

/** The ends of turns of the event loop, made by hand: the `schedule` of a store. */
export class Turns {
  #work: (() => void)[] = []

  readonly schedule = (work: () => void): void => void this.#work.push(work)

  /** Ends the turn: calls what was scheduled in it. */
  end(): void {
    const work = this.#work
    this.#work = []
    for (const each of work) each()
  }
}

/** A message to append. */
export function message(queue: ConsumeQueue, body: string, properties = ''): NewRecord {
  const bytes = Buffer.from(body)
  const text = Buffer.from(properties)
  return {
    queue,
    flag: 0,
    sysFlag: 0,
    bornTimestamp: 1,
    bornHost: HOST,
    storeHost: HOST,
    reconsumeTimes: 0,
    preparedTransactionOffset: 0,
    body: bytes,
    bodyStart: 0,
    bodyEnd: bytes.length,
    properties: text,
    propertiesStart: 0,
    propertiesEnd: text.length,
  }
}

/** The bodies of all messages of a queue, as consumers read them. */
export async function bodies(store: MessageStore, queue: ConsumeQueue): Promise<string[]> {
  const found = new Found()
  const all: string[] = []
  let loads = 0
  for (let offset = queue.minOffset; offset < queue.maxOffset; ) {
    if (store.read({ queue, offset, maxMessages: 32, maxBytes: 1 << 20 }, found) === 'LOADING') {
      await found.loading
      if (++loads > MOST_LOADS) throw new Error(`the read of ${queue.topic} from ${offset} loads again and again`)
      continue
    }
    for (let index = 0; index < found.count; index++) {
      const record = found.record(index)
      all.push(record.toString('utf8', 88, 88 + record.readInt32BE(84)))
    }
    offset = found.nextOffset
  }
  return all
}

import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import type { TestCluster } from '@gantrymq/testkit'
import { ClientError } from '../src/errors.ts'
import { type Scene, TOPIC } from './survival-scene.ts'

/** What a client of the table lives through, and what became of messages and calls on the way. */
export class Books {
  readonly scenery: Scene
  /** Messages that their user is done with, by their bodies. */
  readonly done = new Set<string>()
  /** Calls that were made, and how they ended. */
  readonly calls: { readonly body: string; end?: unknown }[] = []
  readonly #failed = new Set<string>()
  #count = 0

  constructor(scenery: Scene) {
    this.scenery = scenery
  }

  /** Every fourth message fails the first time that it comes. */
  failsNow(body: string): boolean {
    if (Number(body.slice(1)) % 4 !== 1 || this.#failed.has(body)) return false
    this.#failed.add(body)
    return true
  }

  /** One more message in each queue. */
  put(): void {
    for (const broker of this.scenery.cluster.brokers) {
      for (const queueId of [0, 1]) broker.put({ topic: TOPIC, queueId, body: Buffer.from(`m${this.#count++}`) })
    }
  }

  /** Makes a call, and notes how it ends. */
  call(make: (body: string) => Promise<unknown>): void {
    const noted: Books['calls'][number] = { body: `c${this.#count++}` }
    this.calls.push(noted)
    make(noted.body).then(
      value => (noted.end = value ?? 'done'),
      (error: unknown) => (noted.end = error),
    )
  }

  /** What a user does again and again until the client is closed. The promise is there at the end of it. */
  async loop(work: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await work()
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        if (error.code === 'CLOSED') return
      }
      await this.scenery.cluster.settle(1)
    }
  }
}

/** One client of the table. */
export interface Life {
  readonly client: { close(options?: { readonly drainMs?: number }): Promise<unknown> }
  /** What its user does whenever messages come. */
  work?(): void
  /** A call after the end. */
  late(): Promise<unknown>
  /** Ends with the client. */
  readonly loop?: Promise<unknown>
  /** Throws unless all is kept that should be. @param calm all servers were well when it was closed */
  check(calm: boolean): void | Promise<void>
  /** Waits for its end, where that takes more than turns and the clock. */
  readonly wait?: (closing: Promise<unknown>) => Promise<unknown>
  /** Clients that are there for it, to be closed behind it. */
  readonly others?: readonly { close(): Promise<unknown> }[]
}

/** Starts a client of one kind. */
export type Role = (books: Books, t: TestContext) => Promise<Life>

/** What the promise gives. As it waits for a disk too, the clock goes no faster than a disk. */
export async function outcomeOfDisk<T>(cluster: TestCluster, promise: Promise<T>, folder: string): Promise<T> {
  const seen = { isOver: false }
  const note = (): void => {
    seen.isOver = true
  }
  promise.then(note, note)
  for (let round = 1; !seen.isOver; round++) {
    await cluster.settle(2)
    await stat(folder)
    if (round % 4 === 0) cluster.clock.advance(50)
  }
  return await promise
}

type Broker = TestCluster['broker']

/** Where a group is in a queue: behind the messages that it will not see again. */
export type Progress = (broker: Broker, topic: string, queueId: number) => number

/** As the brokers know it. */
export const committed =
  (group: string): Progress =>
  (broker, topic, queueId) =>
    broker.committed(topic, group, queueId) ?? 0

interface Queue {
  readonly where: string
  /** Where the group is. */
  readonly at: number
  /** Offset of the first message that is neither done nor put elsewhere for later. */
  readonly open: number
}

/** How the queues of topics are. Of a message that is in several of them the last copy counts. */
export function queuesOf({ scenery }: Books, done: ReadonlySet<string>, topics: readonly string[], progress: Progress) {
  const { brokers } = scenery.cluster
  const all = topics.flatMap(topic => brokers.flatMap(({ log }) => log.messages(topic)))
  const last = new Map(all.map(entry => [entry.message.body.toString(), entry]))
  const isOpen = (entry: (typeof all)[number]): boolean => {
    const body = entry.message.body.toString()
    return !done.has(body) && last.get(body) === entry
  }
  return topics.flatMap(topic =>
    brokers.flatMap(broker =>
      Array.from({ length: broker.topicOf(topic)?.readQueues ?? 0 }, (_, queueId): Queue => {
        const entries = broker.log.messages(topic, queueId)
        const open = entries.find(isOpen)?.queueOffset ?? entries.length
        return { where: `${broker.name} ${topic} ${queueId}`, at: progress(broker, topic, queueId), open }
      }),
    ),
  )
}

/** No message is passed that was neither done nor put elsewhere for later. */
export function checkNothingLost(queues: readonly Queue[]): void {
  for (const { where, at, open } of queues) assert.ok(at <= open, `${where}: committed ${at}, but ${open} was not done`)
}

/** Nothing comes again that was done. */
export function checkNothingAgain(queues: readonly Queue[]): void {
  for (const { where, at, open } of queues) assert.ok(at >= open, `${where}: done up to ${open}, but committed ${at}`)
}

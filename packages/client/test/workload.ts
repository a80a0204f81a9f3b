import assert from 'node:assert/strict'
import { stat } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import type { StoredMessage } from '@gantrymq/protocol'
import type { TestCluster } from '@gantrymq/testkit/cluster'
import { ClientError } from '../src/errors.ts'
import { type OutageCluster, TOPIC } from './outage-cluster.ts'

/** The messages and calls of a client, and what happened to them. */
export class ClientWorkload {
  readonly fixture: OutageCluster
  /** The bodies of the messages that the client's user has finished. */
  readonly done = new Set<string>()
  /** The calls that were made, with their results or errors. */
  readonly calls: { readonly body: string; end?: unknown }[] = []
  readonly #failed = new Set<string>()
  #count = 0

  constructor(fixture: OutageCluster) {
    this.fixture = fixture
  }

  /** True if the listener must fail: for every fourth message, on its first delivery. */
  failsNow(body: string): boolean {
    if (Number(body.slice(1)) % 4 !== 1 || this.#failed.has(body)) return false
    this.#failed.add(body)
    return true
  }

  /** Stores another message in each queue. */
  put(): void {
    for (const broker of this.fixture.cluster.brokers) {
      for (const queueId of [0, 1]) broker.put({ topic: TOPIC, queueId, body: Buffer.from(`m${this.#count++}`) })
    }
  }

  /** Makes a call and records its result or error. */
  call(make: (body: string) => Promise<unknown>): void {
    const call: ClientWorkload['calls'][number] = { body: `c${this.#count++}` }
    this.calls.push(call)
    make(call.body).then(
      value => (call.end = value ?? 'done'),
      (error: unknown) => (call.end = error),
    )
  }

  /** Repeats a user's work until the client is closed. */
  async loop(work: () => Promise<unknown>): Promise<void> {
    for (;;) {
      try {
        await work()
      } catch (error) {
        if (!(error instanceof ClientError)) throw error
        if (error.code === 'CLOSED') return
      }
      await this.fixture.cluster.settle(1)
    }
  }
}

/** A started client. */
export interface RunningClient {
  readonly client: { close(options?: { readonly drainMs?: number }): Promise<unknown> }
  /** What its user does whenever messages are stored. */
  work?(): void
  /** A call to make after the client was closed. */
  callAfterClose(): Promise<unknown>
  /** Its user's work, which ends when the client is closed. */
  readonly loop?: Promise<unknown>
  /** Checks what was stored and committed. @param calm True if all servers worked when the client was closed. */
  check(calm: boolean): void | Promise<void>
  /** Waits for the end of closing, if turns of the event loop and the clock are not enough. */
  readonly wait?: (closing: Promise<unknown>) => Promise<unknown>
  /** Further clients that it needs, to be closed after it. */
  readonly others?: readonly { close(): Promise<unknown> }[]
}

/** A kind of client: starts one. */
export type ClientKind = (workload: ClientWorkload, t: TestContext) => Promise<RunningClient>

/** The result of a promise that also waits for the disk, so that the clock may not move faster than the disk. */
export async function outcomeOfDisk<T>(cluster: TestCluster, promise: Promise<T>, folder: string): Promise<T> {
  const state = { isOver: false }
  const end = (): void => {
    state.isOver = true
  }
  promise.then(end, end)
  for (let round = 1; !state.isOver; round++) {
    await cluster.settle(2)
    await stat(folder)
    if (round % 4 === 0) cluster.clock.advance(50)
  }
  return await promise
}

type Broker = TestCluster['broker']

/** A group's offset in a queue: it will not receive the messages before it again. */
export type Progress = (broker: Broker, topic: string, queueId: number) => number

/** The offset committed at the broker. */
export const committed =
  (group: string): Progress =>
  (broker, topic, queueId) =>
    broker.committed(topic, group, queueId) ?? 0

/** Where messages wait that were sent back. */
const DELAYED = 'SCHEDULE_TOPIC_XXXX'

const idOf = ({ storeHost, physicalOffset }: StoredMessage): string => `${storeHost.ip} ${physicalOffset}`

interface Queue {
  readonly name: string
  /** The group's offset. */
  readonly offset: number
  /** The offset of the first message that is neither done nor stored again in another queue. */
  readonly firstOpen: number
}

/** The queues of these topics. Of a message with several copies only the last counts. */
export function queuesOf(
  { fixture }: ClientWorkload,
  done: ReadonlySet<string>,
  topics: readonly string[],
  progress: Progress,
) {
  const { brokers } = fixture.cluster
  const copies = brokers.flatMap(broker => [...topics, DELAYED].flatMap(topic => broker.messages(topic)))
  copies.sort((a, b) => Number(a.storeTimestamp) - Number(b.storeTimestamp) || a.reconsumeTimes - b.reconsumeTimes)
  const last = new Map(copies.map(copy => [copy.body.toString(), idOf(copy)]))
  const isOpen = (message: StoredMessage): boolean => {
    const body = message.body.toString()
    return !done.has(body) && last.get(body) === idOf(message)
  }
  return topics.flatMap(topic =>
    brokers.flatMap(broker =>
      Array.from({ length: broker.topic(topic)?.readQueueNums ?? 0 }, (_, queueId): Queue => {
        const entries = broker.messages(topic, queueId)
        const firstOpen = Number(entries.find(isOpen)?.queueOffset ?? entries.length)
        return { name: `${broker.name} ${topic} ${queueId}`, offset: progress(broker, topic, queueId), firstOpen }
      }),
    ),
  )
}

/** No offset is beyond a message that is neither done nor stored again. */
export function checkNothingLost(queues: readonly Queue[]): void {
  for (const { name, offset, firstOpen } of queues)
    assert.ok(offset <= firstOpen, `${name}: committed ${offset}, but ${firstOpen} was not done`)
}

/** No message that is done will be delivered again. */
export function checkNothingRepeated(queues: readonly Queue[]): void {
  for (const { name, offset, firstOpen } of queues)
    assert.ok(offset >= firstOpen, `${name}: done up to ${firstOpen}, but committed ${offset}`)
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from './cluster.ts'
import { unique } from '../unique.ts'
import type { Queue } from '../drivers/client-under-test.ts'
import type { Owner } from '../launch/launched-program.ts'

interface Pulled {
  readonly status: 'FOUND' | 'NO_NEW_MSG' | 'NO_MATCHED_MSG' | 'OFFSET_ILLEGAL'
  readonly next: number
  readonly min: number
  readonly max: number
  readonly messages: readonly { readonly body: string }[]
}

interface PullOffsets {
  readonly min: number
  readonly max: number
  readonly atTime: number
  readonly committed: number
}

/** Java's DefaultMQPullConsumer, which asks for each queue by itself. */
class JavaPull {
  readonly #cluster: Cluster
  readonly #name = unique('pull')

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  static async start(owner: Owner, cluster: Cluster): Promise<JavaPull> {
    const consumer = new JavaPull(cluster)
    await consumer.ask('pullConsumer', { group: unique('group') })
    owner.after(async () => void consumer.ask('stopPull').catch(() => {}))
    return consumer
  }

  ask<T>(command: string, args: object = {}): Promise<T> {
    return this.#cluster.java.ask<T>(command, { ...args, consumer: this.#name })
  }

  pull(queue: Queue, offset: number, more: object = {}): Promise<Pulled> {
    return this.ask('pull', { queue, offset, ...more })
  }
}

const bodiesOf = ({ messages }: Pulled) => messages.map(({ body }) => Buffer.from(body, 'base64').toString())

/** Java's pull consumer. */
export function pulling(cluster: () => Cluster): void {
  test('Java pulls by offset and tag, learns the bounds of a queue, and commits', async t => {
    const topic = await cluster().topic('pulled', 1)
    const consumer = await JavaPull.start(t, cluster())
    const [queue] = await consumer.ask<Queue[]>('subscribeQueues', { topic })
    assert.ok(queue)
    await cluster().java.send(['a', 'b', 'c'].map((body, at) => ({ topic, body, tags: at === 1 ? 'odd' : 'even' })))
    const all = await consumer.pull(queue, 0)
    assert.deepEqual([all.status, bodiesOf(all), all.next, all.min, all.max], ['FOUND', ['a', 'b', 'c'], 3, 0, 3])
    assert.deepEqual(bodiesOf(await consumer.pull(queue, 0, { tags: 'odd' })), ['b'])
    assert.equal((await consumer.pull(queue, 2, { tags: 'odd' })).status, 'NO_MATCHED_MSG')
    assert.equal((await consumer.pull(queue, 3)).status, 'NO_NEW_MSG')
    const beyond = await consumer.pull(queue, 1000)
    assert.deepEqual([beyond.status, beyond.next], ['OFFSET_ILLEGAL', 3])
    await consumer.ask('commitPulled', { queue, offset: 2 })
    const offsets = await consumer.ask<PullOffsets>('pullOffsets', { queue, timestamp: 0 })
    assert.deepEqual(offsets, { min: 0, max: 3, atTime: 0, committed: 2 })
  })

  test('a pull that Java lets wait is answered when a message comes', async t => {
    const topic = await cluster().topic('pulled', 1)
    const consumer = await JavaPull.start(t, cluster())
    const [queue] = await consumer.ask<Queue[]>('subscribeQueues', { topic })
    const waiting = consumer.pull(queue!, 0, { blocks: true })
    await cluster().ours.send([{ topic, body: 'at last' }])
    assert.deepEqual(bodiesOf(await waiting), ['at last'])
  })
}

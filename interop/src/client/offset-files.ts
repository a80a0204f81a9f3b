import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ConsumerSpec } from '../drivers/client-under-test.ts'
import type { Cluster } from './cluster.ts'
import { unique } from '../unique.ts'

/** The file in which a member of a broadcasting group stores its offsets. Both clients read and write it. */
export function offsetFiles(cluster: () => Cluster): void {
  for (const name of ['ours', 'Java'] as const) {
    const other = name === 'ours' ? 'java' : 'ours'
    const one = name === 'ours' ? 'ours' : 'java'
    test(`${name} starts, the other client continues from its file, then ${name} again`, {
      timeout: 120_000,
    }, async t => {
      const topic = await cluster().topic('cast', 2)
      const settings: ConsumerSpec = {
        group: unique('group'),
        subscriptions: { [topic]: '*' },
        broadcast: true,
        instanceName: unique('member'),
        offsetsFolder: await cluster().java.offsetsFolder(),
      }
      const ids: string[] = []
      for (const [turn, client] of [cluster()[one], cluster()[other], cluster()[one]].entries()) {
        const consumer = await client.consume(t, settings)
        const bodies = [1, 2, 3].map(number => `${turn}.${number}`)
        await cluster().java.send(bodies.map(body => ({ topic, body })))
        await consumer.received.containing(bodies)
        await consumer.stop()
        assert.deepEqual(consumer.received.texts.toSorted(), bodies, `messages of turn ${turn}`)
        ids.push(consumer.clientId)
      }
      assert.equal(new Set(ids).size, 1, 'both clients have the same id, which is the name of the file')
    })
  }
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Producer } from '@gantrymq/client'
import { REQUEST_MS } from '../drivers/client-under-test.ts'
import type { Cluster } from './cluster.ts'
import { unique } from '../unique.ts'
import type { Owner } from '../launch/launched-program.ts'

const TIMEOUT_MS = 10_000

async function started(t: Owner, { nameServers }: Cluster, instanceName: string): Promise<Producer> {
  const producer = await Producer.start({ nameServers, instanceName, group: unique('leaving') })
  t.after(() => producer.close())
  return producer
}

/** Two producers with one client id, one of which closes; and large batches. */
export function producers(cluster: () => Cluster): void {
  test('replies arrive after another producer with the same client id was closed', { timeout: 90_000 }, async t => {
    const topic = await cluster().topic()
    await cluster().java.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' }, reply: true })
    const name = unique('leaving')
    const [stays, leaves] = [await started(t, cluster(), name), await started(t, cluster(), name)]
    assert.equal(stays.clientId, leaves.clientId)
    const ask = async () => (await stays.request({ topic, body: 'ping' }, { timeoutMs: REQUEST_MS })).body.toString()
    await leaves.send({ topic, body: 'x' })
    assert.equal(await ask(), 'reply to ping')
    await leaves.close()
    assert.equal(await ask(), 'reply to ping')
  })

  test('one call sends thousands of short messages', { timeout: 60_000 }, async t => {
    const topic = await cluster().topic('short', 1)
    const producer = await started(t, cluster(), unique('leaving'))
    const short = Array.from({ length: 5000 }, () => ({ topic, body: 'x' }))
    const receipts = await producer.sendBatch(short, { timeoutMs: TIMEOUT_MS })
    assert.deepEqual(
      receipts.map(({ queueOffset }) => queueOffset),
      [...short.keys()],
    )
  })
}

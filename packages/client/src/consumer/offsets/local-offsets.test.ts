import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silent } from '@gantrymq/remoting'
import { testCluster } from '@gantrymq/testkit'
import { LocalOffsets } from './local-offsets.ts'
import { folder, noted, startConsumer } from '../../../test/push-scene.ts'

const queue = (queueId: number) => ({ topic: 'Orders', brokerName: 'broker-a', queueId })

async function opened(path: string, log = silent): Promise<LocalOffsets> {
  const offsets = new LocalOffsets({ folder: path, clientId: '10.0.0.5@DEFAULT', group: 'readers', log })
  await offsets.load()
  return offsets
}

async function written(t: TestContext): Promise<LocalOffsets> {
  const offsets = await opened(await folder(t))
  offsets.update(queue(0), 5, true)
  await offsets.persist([queue(0)])
  offsets.update(queue(0), 7, true)
  offsets.update(queue(1), 3, true)
  await offsets.persist([queue(0), queue(1)])
  return offsets
}

const folderOf = ({ path }: LocalOffsets): string => dirname(dirname(dirname(path)))

test('offsets are where Java has them, and outlive the process', async t => {
  const offsets = await written(t)
  assert.equal(offsets.path, join(folderOf(offsets), '10.0.0.5@DEFAULT', 'readers', 'offsets.json'))
  const again = await opened(folderOf(offsets))
  assert.deepEqual([await again.read(queue(0)), await again.read(queue(1)), await again.read(queue(2))], [7, 3, -1])
  assert.equal(again.peek(queue(0)), 7)
})

test('nothing is left beside the file but its last form', async t => {
  const { path } = await written(t)
  assert.deepEqual((await readdir(dirname(path))).toSorted(), ['offsets.json', 'offsets.json.bak'])
  assert.match(await readFile(`${path}.bak`, 'utf8'), /:5\b/)
})

test('queues that are not told keep their place in the file', async t => {
  const offsets = await written(t)
  const again = await opened(folderOf(offsets))
  again.update(queue(1), 9, true)
  await again.persist([queue(1)])
  const third = await opened(folderOf(offsets))
  assert.deepEqual([await third.read(queue(0)), await third.read(queue(1))], [7, 9])
})

for (const [what, bytes] of [
  ['bad', '{"offsetTable":{'],
  ['empty', ''],
] as const) {
  test(`a file that is ${what} is replaced by the one before`, async t => {
    const offsets = await written(t)
    await writeFile(offsets.path, bytes)
    assert.equal(await (await opened(folderOf(offsets))).read(queue(0)), 5)
  })
}

test('two bad files are an error that names them and what to do', async t => {
  const offsets = await written(t)
  await writeFile(offsets.path, 'x')
  await writeFile(`${offsets.path}.bak`, 'y')
  await assert.rejects(opened(folderOf(offsets)), {
    code: 'BAD_BODY',
    message: /offsets.json .* put a good file there/,
  })
})

test('a folder that cannot be written is told, and tried again', async t => {
  const { log, texts } = noted()
  const path = await folder(t)
  const offsets = await opened(path, log)
  await writeFile(join(path, '10.0.0.5@DEFAULT'), 'in the way')
  offsets.update(queue(0), 4, true)
  await offsets.persist([queue(0)])
  assert.deepEqual(texts, ['error offsets not kept'])
  await rm(join(path, '10.0.0.5@DEFAULT'))
  await offsets.persist([queue(0)])
  assert.equal(await (await opened(path)).read(queue(0)), 4)
})

test('persisting from several sides at once leaves the newest', async t => {
  const offsets = await opened(await folder(t))
  const all = Array.from({ length: 20 }, (_, n) => {
    offsets.update(queue(0), n + 1, true)
    return offsets.persist([queue(0)])
  })
  await Promise.all(all)
  assert.equal(await (await opened(folderOf(offsets))).read(queue(0)), 20)
})

test('a broadcast consumer gets everything, keeps its id, and goes on where it was', async t => {
  // Files take real time, which real ports give them.
  const cluster = await testCluster(t, { realPorts: true })
  cluster.broker.setTopic('Orders', { readQueues: 2 })
  const options = { broadcast: true, offsetsFolder: await folder(t) }
  const seen: string[] = []
  const note = (who: string) => ({
    ...options,
    onMessage: ({ queueOffset, queue: { queueId } }: { queueOffset: number; queue: { queueId: number } }) =>
      void seen.push(`${who}${queueId}:${queueOffset}`),
  })
  const one = await startConsumer(cluster, note('a'))
  assert.match(one.clientId, /@DEFAULT$/)
  const two = await startConsumer(cluster, { ...note('b'), instanceName: 'other' })
  for (let n = 0; n < 4; n++) cluster.broker.put({ topic: 'Orders', queueId: n % 2 })
  await cluster.until(() => seen.length === 8)
  await cluster.outcome(one.close())
  await cluster.outcome(two.close())
  cluster.broker.put({ topic: 'Orders' })
  seen.length = 0
  await startConsumer(cluster, note('a'))
  await cluster.until(() => seen.length > 0)
  assert.deepEqual(seen, ['a0:2'])
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), undefined, 'the broker keeps nothing')
})

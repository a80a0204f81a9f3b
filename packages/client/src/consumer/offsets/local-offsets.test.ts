import assert from 'node:assert/strict'
import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { silent } from '@gantrymq/remoting'
import { testCluster } from '@gantrymq/testkit/cluster'
import { folder, recordingLog, startConsumer } from '../../../test/push-fixture.ts'
import { LocalOffsets } from './local-offsets.ts'

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

test('offsets are stored where Java stores them, and survive the process', async t => {
  const offsets = await written(t)
  assert.equal(offsets.path, join(folderOf(offsets), '10.0.0.5@DEFAULT', 'readers', 'offsets.json'))
  const again = await opened(folderOf(offsets))
  assert.deepEqual([await again.read(queue(0)), await again.read(queue(1)), await again.read(queue(2))], [7, 3, -1])
  assert.equal(again.peek(queue(0)), 7)
})

test('after the end the folder contains the file and its previous version, nothing else', async t => {
  const offsets = await written(t)
  await offsets.close()
  const { path } = offsets
  assert.deepEqual((await readdir(dirname(path))).toSorted(), ['offsets.json', 'offsets.json.bak'])
  assert.match(await readFile(`${path}.bak`, 'utf8'), /:5\b/)
})

test('queues that are not persisted keep their offsets in the file', async t => {
  const offsets = await written(t)
  const again = await opened(folderOf(offsets))
  again.update(queue(1), 9, true)
  await again.persist([queue(1)])
  const third = await opened(folderOf(offsets))
  assert.deepEqual([await third.read(queue(0)), await third.read(queue(1))], [7, 9])
})

for (const [what, bytes] of [
  ['truncated', '{"offsetTable":{'],
  ['empty', ''],
] as const) {
  test(`if the file is ${what}, its previous version is read`, async t => {
    const offsets = await written(t)
    await writeFile(offsets.path, bytes)
    assert.equal(await (await opened(folderOf(offsets))).read(queue(0)), 5)
  })
}

test('two bad files are an error that names them and says what to do', async t => {
  const offsets = await written(t)
  await writeFile(offsets.path, 'x')
  await writeFile(`${offsets.path}.bak`, 'y')
  await assert.rejects(opened(folderOf(offsets)), {
    code: 'BAD_BODY',
    message: /offsets.json .* restore a good file/,
  })
})

test('a folder that cannot be written is logged, and the next call tries again', async t => {
  const { log, texts } = recordingLog()
  const path = await folder(t)
  const offsets = await opened(path, log)
  await rm(join(path, '10.0.0.5@DEFAULT'), { recursive: true })
  await writeFile(join(path, '10.0.0.5@DEFAULT'), 'in the way')
  offsets.update(queue(0), 4, true)
  await offsets.persist([queue(0)])
  assert.deepEqual(texts, ['error cannot write the offset file'])
  await rm(join(path, '10.0.0.5@DEFAULT'))
  await offsets.persist([queue(0)])
  assert.equal(await (await opened(path)).read(queue(0)), 4)
})

test('of several concurrent calls of persist the newest offset is in the file', async t => {
  const offsets = await opened(await folder(t))
  const all = Array.from({ length: 20 }, (_, n) => {
    offsets.update(queue(0), n + 1, true)
    return offsets.persist([queue(0)])
  })
  await Promise.all(all)
  assert.equal(await (await opened(folderOf(offsets))).read(queue(0)), 20)
})

test('a broadcast consumer receives every message, keeps its id, and resumes where it stopped', async t => {
  // Writing files takes real time, which a cluster on real ports allows for.
  const cluster = await testCluster(t, { realPorts: true })
  await cluster.broker.setTopic('Orders', { readQueues: 2 })
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
  assert.equal(cluster.broker.committed('Orders', 'readers', 0), undefined, 'the broker stores no offset')
})

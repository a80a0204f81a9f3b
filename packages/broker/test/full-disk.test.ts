import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Broker } from '@gantrymq/broker'
import { ManualClock, numbersFrom } from '@gantrymq/remoting/testing'
import { StoreError } from '@gantrymq/store'
import { type DiskFault, FaultyDisk, type Operation } from '@gantrymq/store/testing'
import { brokerInMemory } from './broker-in-memory.ts'
import { messagesIn, sendMessage, settle } from './requests.ts'

const TAKES_SPACE = new Set<Operation['kind']>(['create', 'makeFolder', 'write'])

test('a broker whose disk is full starts with what it has, serves it, and takes messages when there is space again', async t => {
  const disk = new FaultyDisk({ numbers: numbersFrom(1) })
  const first = await brokerInMemory(t, { disk, storePathRootDir: '/store' })
  await sendMessage(first, {}, 'before')
  disk.crash()
  await first.end()

  let isFull = true
  const fault = ({ kind }: Operation): DiskFault | undefined =>
    isFull && (kind === 'makeFolder' || kind === 'write') ? { fails: 'ENOSPC' } : undefined
  const full = disk.restarted({ power: false }, { numbers: numbersFrom(1), fault })
  const mq = await brokerInMemory(t, { disk: full, storePathRootDir: '/store' })
  const bodies = async () => (await messagesIn(mq, 'Orders', 1)).map(({ body }) => body.toString())
  assert.deepEqual(await bodies(), ['before'])
  await assert.rejects(sendMessage(mq, {}, 'meanwhile'), { responseCode: 14 })
  isFull = false
  mq.clock.advance(10_000)
  await settle()
  await sendMessage(mq, {}, 'after')
  assert.deepEqual(await bodies(), ['before', 'after'])
})

test('a start for which the disk has no space fails with DISK_FULL at every step, and leaves nothing open', async () => {
  const refused: string[] = []
  for (let lastWithSpace = 0; ; lastWithSpace++) {
    let isFull = true
    let taken = 0
    const disk = new FaultyDisk({
      numbers: numbersFrom(lastWithSpace),
      fault({ kind }) {
        if (!isFull || !TAKES_SPACE.has(kind) || ++taken <= lastWithSpace) return undefined
        return { fails: 'ENOSPC' }
      },
    })
    const clock = new ManualClock()
    const start = () =>
      Broker.start({ listen: false, port: 10_911, brokerIP1: '10.0.1.1', storePathRootDir: '/store', disk, clock })
    const outcome: unknown = await start().catch((error: unknown) => error)
    isFull = false
    if (outcome instanceof Broker) {
      await outcome.close()
      break
    }
    assert.ok(outcome instanceof StoreError, String(outcome))
    refused.push(outcome.code)
    await settle()
    assert.equal(clock.timers, 0, `what began before step ${lastWithSpace} looks at the time`)
    await (await start()).close()
  }
  assert.ok(refused.length >= 4, `${refused.length} steps`)
  assert.deepEqual(new Set(refused), new Set(['DISK_FULL']))
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import { MemoryDisk } from './files/memory-disk.ts'
import { countExpired, defaultRetentionRules, Retention, type RetentionRules, usedPart } from './retention.ts'
import { Writability } from './writability.ts'

const HOUR = 3_600_000
const NOON = new Date(2026, 10, 30, 12).getTime()

/** A log with five files, one written each hour up to noon; the last is being filled. */
function fixture(rules: Partial<RetentionRules> = {}) {
  const clock = new ManualClock(NOON - 4 * HOUR)
  let space = { total: 100, free: 90, usable: 90 }
  const disk = Object.assign(new MemoryDisk({ now: () => clock.now() }), { space: async () => space })
  disk.makeFolder('/store/commitlog')
  const names = ['0', '1', '2', '3', '4']
  for (const name of names) {
    disk.create(`/store/commitlog/${name}`, 10)
    if (name !== '4') clock.advance(HOUR)
  }
  const dropped: number[] = []
  const writability = new Writability()
  const retention = new Retention({
    rules: { ...defaultRetentionRules, ...rules },
    disk,
    log: {
      folder: '/store/commitlog',
      get start() {
        return Number(names[0])
      },
      get finishedFiles() {
        return names.slice(0, -1)
      },
      removeOldest: () => disk.unlink(`/store/commitlog/${names.shift()}`),
    },
    queueFolder: '/store/consumequeue',
    derived: [{ dropBefore: async (start: number) => void dropped.push(start) } as never],
    writability,
    clock,
  })
  return {
    retention,
    clock,
    dropped,
    writability,
    left: () => disk.list('/store/commitlog')?.length,
    use: (percent: number) => void (space = { total: 100, free: 100 - percent, usable: 100 - percent }),
  }
}

test('the part of a disk in use does not count what is reserved, and is rounded up', () => {
  assert.equal(usedPart({ total: 1_000, free: 500, usable: 500 }), 0.5)
  assert.equal(usedPart({ total: 1_000, free: 500, usable: 400 }), 0.56)
  assert.equal(usedPart({ total: 0, free: 0, usable: 0 }), 0)
})

test('files expire from the oldest on, up to the first that has not', () => {
  const files = [1, 2, 9, 3].map(hour => ({ name: String(hour), modified: hour * HOUR }))
  assert.equal(countExpired(files, 10 * HOUR, 5 * HOUR, false), 2)
  assert.equal(countExpired(files, 10 * HOUR, 5 * HOUR, true), 4)
  assert.equal(countExpired(files, 10 * HOUR, 20 * HOUR, false), 0)
})

test('expired files are deleted in the hour for it, and never the one that is being filled', async () => {
  const { retention, clock, dropped, left } = fixture({ reservedMs: HOUR, deleteHours: [4] })
  await retention.check()
  assert.equal(left(), 5)
  clock.advance(16 * HOUR + 59_000)
  await retention.check()
  assert.equal(left(), 1)
  assert.deepEqual(dropped, [4])
})

test('expired files are deleted at any hour when the disk is used above the first ratio', async () => {
  const { retention, left, use } = fixture({ reservedMs: 2.5 * HOUR })
  use(75)
  await retention.check()
  assert.equal(left(), 5)
  use(76)
  await retention.check()
  assert.equal(left(), 3)
})

test('files that have not expired are deleted above the second ratio, unless that is forbidden', async () => {
  const forbidden = fixture({ isForceable: false })
  forbidden.use(86)
  await forbidden.retention.check()
  assert.equal(forbidden.left(), 5)
  const { retention, left, use } = fixture()
  use(86)
  await retention.check()
  assert.equal(left(), 1)
})

test('above the third ratio no message is accepted until there is room again', async () => {
  const { retention, writability, use } = fixture()
  use(91)
  await retention.check()
  assert.equal(writability.problem?.code, 'DISK_FULL')
  assert.match(writability.problem.message, /full to 91 %/)
  use(90)
  await retention.check()
  assert.equal(writability.problem, undefined)
})

test('expired files are deleted by hand at any hour', async () => {
  const { retention, left } = fixture({ reservedMs: 2.5 * HOUR })
  assert.equal(await retention.deleteExpired(), 2)
  assert.equal(left(), 3)
})

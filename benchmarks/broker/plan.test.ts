import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Plan, pullPlan, readPlan, sendPlan, writePlan } from './plan.ts'

const queues = [
  { topic: 'TopicA', id: 0 },
  { topic: 'TopicB', id: 7 },
]

interface Header {
  readonly code: number
  readonly opaque: number
  readonly extFields: Readonly<Record<string, string>>
}

function headerOf(frame: Buffer): Header {
  return JSON.parse(frame.toString('utf8', 8, 8 + frame.readUInt32BE(4))) as Header
}

test('a message goes to each queue, with the given number of bytes', () => {
  for (const [i, { bytes }] of sendPlan(queues, 300).entries()) {
    const { code, extFields } = headerOf(bytes)
    assert.equal(code, 310)
    assert.deepEqual([extFields['b'], extFields['e']], [queues[i]?.topic, String(queues[i]?.id)])
    assert.equal(bytes.readUInt32BE(0), bytes.length - 4)
    assert.equal(bytes.length - 8 - bytes.readUInt32BE(4), 300)
  }
})

test('the blanks of a message are its opaque and the end of its unique key', () => {
  for (const { bytes, opaqueAt, keyAt } of sendPlan(queues, 10)) {
    bytes.write('1000015', opaqueAt)
    bytes.write('CAFE4711', keyAt)
    const { opaque, extFields } = headerOf(bytes)
    assert.equal(opaque, 1_000_015)
    assert.match(extFields['i']?.split('\u0002')[0] ?? '', /^UNIQ_KEY.[0-9A-F]{24}CAFE4711$/)
  }
})

test('the offset of a pull is inserted before its opaque', () => {
  const [frame] = pullPlan([{ queue: { topic: 'TopicA', id: 3 }, first: 5, end: 9 }], 1000)
  assert.ok(frame)
  const { bytes, opaqueAt, offsetAt, keyAt, first, end } = frame
  assert.ok(offsetAt < opaqueAt && keyAt === 0)
  const whole = Buffer.concat([bytes.subarray(0, offsetAt), Buffer.from('12345'), bytes.subarray(offsetAt)])
  whole.writeUInt32BE(bytes.readUInt32BE(4) + 5, 4)
  const { code, opaque, extFields } = headerOf(whole)
  assert.deepEqual([code, opaque, extFields['queueOffset'], extFields['queueId']], [11, 1_000_000, '12345', '3'])
  assert.deepEqual([first, end], [5, 9])
})

test('readPlan returns what writePlan was given', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-plan-'))
  t.after(() => rm(folder, { recursive: true }))
  const windows = [{ queue: { topic: 'TopicA', id: 0 }, first: 2 ** 40, end: 2 ** 40 + 32 }]
  const plans: Plan[] = [sendPlan(queues, 128), pullPlan(windows, 0)]
  for (const plan of plans) {
    await writePlan(plan, join(folder, 'plan'))
    assert.deepEqual(readPlan(await readFile(join(folder, 'plan'))), plan)
  }
})

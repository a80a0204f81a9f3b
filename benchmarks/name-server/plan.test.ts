import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { firstFrames, type Plan, readPlan, registerPlan, routePlan, writePlan } from './plan.ts'

const population = { topics: 40, brokers: 2 }

interface Registration {
  readonly topicConfigSerializeWrapper: {
    readonly dataVersion: { readonly counter: number; readonly timestamp: number }
    readonly topicConfigTable: Record<string, unknown>
  }
}

function bodiesOf(plan: Plan, lane: number): Registration[] {
  const { first, count } = plan.lanes[lane] as Plan['lanes'][number]
  const frames = plan.frames.slice(first, first + count)
  return frames.map(({ body }) => JSON.parse((plan.bodies[body ?? -1] as Buffer).toString()) as Registration)
}

function differingTopics(a: Registration, b: Registration): string[] {
  const [left, right] = [a, b].map(each => each.topicConfigSerializeWrapper.topicConfigTable) as [object, object]
  const after = new Map(Object.entries(right))
  return Object.entries(left).flatMap(([name, config]) =>
    JSON.stringify(config) === JSON.stringify(after.get(name)) ? [] : [name],
  )
}

test('each changed registration differs from the one before in its version and one topic, the first from the last', () => {
  const bodies = bodiesOf(registerPlan(population, 'changed'), 1)
  for (const [i, body] of bodies.entries()) {
    const next = bodies[(i + 1) % bodies.length] as Registration
    assert.equal(differingTopics(body, next).length, 1)
    assert.notDeepEqual(body.topicConfigSerializeWrapper.dataVersion, next.topicConfigSerializeWrapper.dataVersion)
  }
})

test('a registration frame has its length and the checksum of its body', () => {
  for (const frame of firstFrames(registerPlan(population, 'unchanged'))) {
    assert.equal(frame.readUInt32BE(0), frame.length - 4)
    const bodyStart = 8 + frame.readUInt32BE(4)
    const header = JSON.parse(frame.toString('utf8', 8, bodyStart)) as { extFields: { bodyCrc32: string } }
    assert.equal(header.extFields.bodyCrc32, String(crc32(frame.subarray(bodyStart)) & 0x7fffffff))
  }
})

test('route queries ask for every topic once', () => {
  const topics = routePlan(population).frames.map(({ head }) => /"topic":"(\w+)"/.exec(head.toString())?.[1])
  assert.equal(new Set(topics).size, population.topics)
})

test('readPlan returns what writePlan was given', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-plan-'))
  t.after(() => rm(folder, { recursive: true }))
  for (const plan of [routePlan(population), registerPlan(population, 'changed')]) {
    await writePlan(plan, join(folder, 'plan'))
    assert.deepEqual(readPlan(await readFile(join(folder, 'plan'))), plan)
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Selection, selectCases, settingKey, settingOf } from './cases.ts'

const nothing: Selection = { quick: false, all: false, words: [] }
const ids = (selection: Partial<Selection>) => selectCases({ ...nothing, ...selection }).map(({ id }) => id)

test('a run without words has all cases with a goal, a quick one some of them', () => {
  const full = ids({})
  assert.equal(selectCases(nothing).filter(({ goal }) => goal).length, 9)
  const quick = ids({ quick: true })
  assert.ok(quick.length > 2 && quick.length < full.length)
  assert.ok(quick.every(id => full.includes(id)))
})

test('every combination of size, connections, depth and flush mode can be named', () => {
  const all = ids({ all: true })
  assert.equal(new Set(all).size, all.length)
  for (const bytes of [128, 1024]) {
    for (const load of ['1x1', '1x16', '16x1', '16x16', '64x1', '64x16']) {
      for (const flush of ['', '-sync'])
        assert.ok(all.includes(`send-${bytes}-${load}${flush}`), `${bytes} ${load}${flush}`)
    }
  }
  for (const rest of ['topics-1000', 'topics-10000', 'waiting-1000']) {
    assert.ok(all.includes(`send-128-16x16-${rest}`), rest)
  }
})

test('a whole id selects one case, a part of ids all that have it', () => {
  assert.deepEqual(ids({ words: ['send-128-16x1'] }), ['send-128-16x1'])
  assert.ok(ids({ words: ['topics'] }).length > 2)
  assert.deepEqual(ids({ words: ['nothing-of-the-kind'] }), [])
})

test('cases with the same setting follow one another, so that brokers start once for each', () => {
  const keys = selectCases({ ...nothing, all: true }).map(one => settingKey(settingOf(one)))
  const changes = keys.filter((key, i) => key !== keys[i - 1])
  assert.equal(changes.length, new Set(keys).size)
})

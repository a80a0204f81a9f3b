import assert from 'node:assert/strict'
import test from 'node:test'
import { applies, type Case, selectCases } from './cases.ts'

const ids = (cases: readonly Case[]) => cases.map(({ id }) => id)

test('words select cases, and quick leaves out the long ones', () => {
  assert.deepEqual(ids(selectCases({ quick: true, words: [] })), [
    'send-128-1',
    'send-128-256',
    'consume-128',
    'latency',
  ])
  assert.deepEqual(ids(selectCases({ quick: true, words: ['memory'] })), ['memory-send', 'memory-drain'])
  assert.equal(selectCases({ quick: false, words: [] }).length, 10)
  assert.deepEqual(selectCases({ quick: false, words: ['nothing'] }), [])
})

test('Java runs with callbacks only if many messages are in flight', () => {
  const takes = selectCases({ quick: false, words: [] }).filter(one => applies(one, 'java-async', false))
  assert.deepEqual(ids(takes), ['send-128-16', 'send-128-256', 'send-1024-16', 'send-1024-256'])
})

test('the memory cases run with other clients only if these are named', () => {
  const [memory] = selectCases({ quick: false, words: ['memory-send'] }) as [Case]
  assert.deepEqual(
    [applies(memory, 'ours', false), applies(memory, 'java', false), applies(memory, 'java', true)],
    [true, false, true],
  )
})

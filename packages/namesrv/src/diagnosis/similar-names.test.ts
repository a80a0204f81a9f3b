import assert from 'node:assert/strict'
import { test } from 'node:test'
import { finish } from '@gantrymq/remoting'
import { similarNames } from './similar-names.ts'

const similar = (wanted: string, names: Iterable<string>) => finish(similarNames(wanted, names))

test('names that differ in case, blanks or a namespace come before those with other letters', () => {
  const names = ['order', 'payments', 'Orders', 'oredrs', 'MQ_INST_1%orders', 'odrer', 'orders']
  assert.deepEqual(similar('orders', names), ['Orders', 'MQ_INST_1%orders', 'order', 'oredrs', 'odrer'])
})

test('short names are similar only if they are nearly the same', () => {
  assert.deepEqual(similar('abc', ['abd', 'axx', 'ab']), ['abd', 'ab'])
  assert.deepEqual(similar('ab', ['ac', 'AB']), ['AB'])
  assert.deepEqual(similar('order', ['odrrer', 'oders', 'oxxer', 'xxxer']), ['odrrer', 'oders', 'oxxer'])
})

test('topics of groups are similar to topics of groups with the same prefix', () => {
  const names = ['%RETRY%billing', '%DLQ%billing', 'billing', '%RETRY%MQ_INST_1%billing']
  assert.deepEqual(similar('%RETRY%biling', names), ['%RETRY%billing', '%RETRY%MQ_INST_1%billing'])
})

test('of a thousand similar names a few are kept', () => {
  assert.equal(
    similar(
      'orders',
      Array.from({ length: 1000 }, (_, i) => `ns${i}%orders`),
    ).length,
    5,
  )
})

test('a slice compares fifty names, however long they are, and their cost is that of their length', () => {
  const names = Array.from({ length: 20_000 }, (_, i) => `y${'x'.repeat(119)}${String(i).padStart(6, '0')}`)
  const search = similarNames(`${'x'.repeat(120)}000000`, names)
  const before = process.cpuUsage().user
  let slices = 1
  while (search.next().done !== true) slices++
  assert.equal(slices, names.length / 50)
  // A comparison of all letters with all letters takes about a minute.
  assert.ok(process.cpuUsage().user - before < 5_000_000)
})

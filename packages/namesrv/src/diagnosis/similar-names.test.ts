import assert from 'node:assert/strict'
import { test } from 'node:test'
import { similarNames } from './similar-names.ts'

test('names that differ in case, blanks or a namespace come before those with other letters', async () => {
  const names = ['order', 'payments', 'Orders', 'oredrs', 'MQ_INST_1%orders', 'odrer', 'orders']
  assert.deepEqual(await similarNames('orders', names), ['Orders', 'MQ_INST_1%orders', 'order', 'oredrs', 'odrer'])
})

test('short names are similar only if they are nearly the same', async () => {
  assert.deepEqual(await similarNames('abc', ['abd', 'axx', 'ab']), ['abd', 'ab'])
  assert.deepEqual(await similarNames('ab', ['ac', 'AB']), ['AB'])
})

test('topics of groups are similar to topics of groups with the same prefix', async () => {
  const names = ['%RETRY%billing', '%DLQ%billing', 'billing', '%RETRY%MQ_INST_1%billing']
  assert.deepEqual(await similarNames('%RETRY%biling', names), ['%RETRY%billing', '%RETRY%MQ_INST_1%billing'])
})

test('of a thousand similar names a few are kept', async () => {
  assert.equal(
    (
      await similarNames(
        'orders',
        Array.from({ length: 1000 }, (_, i) => `ns${i}%orders`),
      )
    ).length,
    5,
  )
})

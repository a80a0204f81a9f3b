import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ClientError } from '../../errors.ts'
import { subscriptionOf } from './subscription.ts'

test('an expression that can match nothing is a ClientError that names the topic', () => {
  assert.deepEqual(subscriptionOf('Orders', 'a', 1).tagsSet, ['a'])
  assert.throws(
    () => subscriptionOf('Orders', '||', 1),
    (error: unknown) =>
      error instanceof ClientError &&
      error.code === 'BAD_OPTION' &&
      error.message === 'the subscription of Orders, "||", names no tag',
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RemotingError } from '@gantrymq/remoting'
import { matchesTags, subscriptionOf } from './subscription.ts'

test('an asterisk, or nothing, means every message', () => {
  for (const expression of ['*', '', { tags: [] }, { tags: ['*'] }]) {
    assert.deepEqual(subscriptionOf('Orders', expression, 7), {
      topic: 'Orders',
      subString: '*',
      tagsSet: [],
      codeSet: [],
      subVersion: 7,
      expressionType: 'TAG',
    })
  }
})

test('tags are split, trimmed and hashed as in Java; the text stays as given', () => {
  const { subString, tagsSet, codeSet } = subscriptionOf('Orders', 'TagA||  TagB || ', 1)
  assert.equal(subString, 'TagA||  TagB || ')
  assert.deepEqual(tagsSet, ['TagA', 'TagB'])
  assert.deepEqual(codeSet, [2598919, 2598920])
  assert.equal(subscriptionOf('Orders', { tags: ['a', 'b'] }, 1).subString, 'a || b')
})

test('an SQL92 filter goes to the broker as it is', () => {
  const subscription = subscriptionOf('Orders', { sql: "a > 5 AND b = 'x'" }, 1)
  assert.equal(subscription.expressionType, 'SQL92')
  assert.equal(subscription.subString, "a > 5 AND b = 'x'")
  assert.deepEqual([subscription.tagsSet, subscription.codeSet], [[], []])
  assert.equal(matchesTags(subscription, undefined), true)
})

test('an expression that can match nothing is refused with its topic', () => {
  for (const expression of ['||', ' || ', ' ', { sql: ' ' }, { tags: ['', ' '] }]) {
    assert.throws(
      () => subscriptionOf('Orders', expression, 1),
      (error: unknown) =>
        error instanceof RemotingError && error.code === 'BAD_OPTION' && error.message.includes('Orders'),
    )
  }
})

test('a tag with the hash of another is dropped by the client', () => {
  const subscription = subscriptionOf('Orders', 'Aa', 1)
  assert.deepEqual(subscription.codeSet, subscriptionOf('Orders', 'BB', 1).codeSet)
  assert.equal(matchesTags(subscription, 'Aa'), true)
  assert.equal(matchesTags(subscription, 'BB'), false)
  assert.equal(matchesTags(subscription, undefined), false)
})

test('every tag of an expression is matched, and no other', () => {
  const tag = fc.stringMatching(/^[a-z0-9_-]{1,8}$/)
  fc.assert(
    fc.property(fc.uniqueArray(tag, { minLength: 1, maxLength: 8 }), tag, (tags, other) => {
      const subscription = subscriptionOf('T', tags.join('||'), 1)
      assert.ok(tags.every(tag => matchesTags(subscription, tag)))
      assert.equal(matchesTags(subscription, other), tags.includes(other))
    }),
  )
})

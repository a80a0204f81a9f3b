import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { RemotingError } from '@gantrymq/remoting'
import { matchesTags, subscriptionOf } from './subscription.ts'

test('an asterisk or an empty expression matches every message', () => {
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

test('tags are split, trimmed and hashed as in Java; the text stays unchanged', () => {
  const { subString, tagsSet, codeSet } = subscriptionOf('Orders', 'TagA||  TagB || ', 1)
  assert.equal(subString, 'TagA||  TagB || ')
  assert.deepEqual(tagsSet, ['TagA', 'TagB'])
  assert.deepEqual(codeSet, [2598919, 2598920])
  assert.equal(subscriptionOf('Orders', { tags: ['a', 'b'] }, 1).subString, 'a || b')
})

test('an SQL92 filter is sent to the broker unchanged', () => {
  const subscription = subscriptionOf('Orders', { sql: "a > 5 AND b = 'x'" }, 1)
  assert.equal(subscription.expressionType, 'SQL92')
  assert.equal(subscription.subString, "a > 5 AND b = 'x'")
  assert.deepEqual([subscription.tagsSet, subscription.codeSet], [[], []])
  assert.equal(matchesTags(subscription, undefined), true)
})

test('an expression that can match nothing is refused, and the error names the topic', () => {
  for (const expression of ['||', ' || ', ' ', { sql: ' ' }, { tags: ['', ' '] }]) {
    assert.throws(
      () => subscriptionOf('Orders', expression, 1),
      (error: unknown) =>
        error instanceof RemotingError && error.code === 'BAD_OPTION' && error.message.includes('Orders'),
    )
  }
})

test('the client drops a message whose tag only has the hash of a subscribed tag', () => {
  const subscription = subscriptionOf('Orders', 'Aa', 1)
  assert.deepEqual(subscription.codeSet, subscriptionOf('Orders', 'BB', 1).codeSet)
  assert.equal(matchesTags(subscription, 'Aa'), true)
  assert.equal(matchesTags(subscription, 'BB'), false)
  assert.equal(matchesTags(subscription, undefined), false)
})

test('a subscription matches every tag of its expression and no other', () => {
  const tag = fc.stringMatching(/^[a-z0-9_-]{1,8}$/)
  fc.assert(
    fc.property(fc.uniqueArray(tag, { minLength: 1, maxLength: 8 }), tag, (tags, other) => {
      const subscription = subscriptionOf('T', tags.join('||'), 1)
      assert.ok(tags.every(tag => matchesTags(subscription, tag)))
      assert.equal(matchesTags(subscription, other), tags.includes(other))
    }),
  )
})

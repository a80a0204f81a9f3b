import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RemotingError, ResponseError } from '@gantrymq/remoting'
import { ClientError, isAccessRefusal, reasonsText, remarkText, toClientError } from './errors.ts'

test('a refusal has the server’s code and remark, and advice if the code is enough to tell', () => {
  const cause = new ResponseError(2, '[OVERLOAD]system busy')
  const error = toClientError(cause, '10.0.0.1:10911')
  assert.equal(error.code, 'BROKER_REFUSED')
  assert.equal(error.responseCode, 2)
  assert.equal(error.remark, '[OVERLOAD]system busy')
  assert.equal(error.address, '10.0.0.1:10911')
  assert.equal(error.retriable, true)
  assert.equal(error.cause, cause)
  assert.match(
    error.message,
    /^10\.0\.0\.1:10911 refused with code 2 \(SYSTEM_BUSY\): \[OVERLOAD\]system busy; the broker/,
  )
})

test('an unknown code is shown as a number, and not retriable', () => {
  const error = toClientError(new ResponseError(4711, null))
  assert.match(error.message, /the server refused with code 4711: no remark/)
  assert.equal(error.retriable, false)
})

test('connection failures have the client’s codes and Java’s numbers', () => {
  const from = (code: RemotingError['code']) =>
    toClientError(new RemotingError(code, 'text', { retriable: true }), 'a:1')
  assert.deepEqual([from('TIMEOUT').code, from('TIMEOUT').responseCode], ['TIMEOUT', 10002])
  assert.deepEqual([from('CONNECT_FAILED').code, from('CONNECT_FAILED').responseCode], ['CONNECT_FAILED', 10001])
  assert.deepEqual([from('CLOSED').code, from('CLOSED').retriable], ['CONNECT_FAILED', true])
  assert.equal(from('TOO_MANY_IN_FLIGHT').code, 'BACK_PRESSURE')
  assert.equal(from('FRAME_TOO_LARGE').code, 'BAD_BODY')
})

test('a ClientError is returned as it is, and any other error is retriable', () => {
  const own = new ClientError('CLOSED', 'gone')
  assert.equal(toClientError(own), own)
  assert.deepEqual(toClientError('odd').message, 'odd')
  assert.equal(toClientError(new Error('odd')).retriable, true)
})

const remarks: readonly (readonly [remark: string, text: string])[] = [
  ['[OVERLOAD]system busy', '[OVERLOAD]system busy'],
  [
    'org.apache.rocketmq.acl.common.AclException: No default permission for Orders, org.apache.rocketmq.acl.plain.PlainPermissionManager.checkPerm(PlainPermissionManager.java:142)',
    'No default permission for Orders',
  ],
  [
    'org.apache.rocketmq.acl.common.AclException: [10015:signature-failed] unable to calculate a request signature. error=java.lang.IllegalArgumentException: Empty key',
    '[10015:signature-failed] unable to calculate a request signature. error=Empty key',
  ],
  [
    'java.lang.NullPointerException, org.apache.rocketmq.broker.processor.X$1.run(X.java:7)\n\tat java.lang.Thread.run(Thread.java:750)',
    'no remark',
  ],
  [
    'No topic route info in name server for the topic: T\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.',
    'No topic route info in name server for the topic: T',
  ],
  ['CODE: 17  DESC: topic[T] not exist', 'topic[T] not exist'],
  ['', 'no remark'],
]

for (const [remark, text] of remarks) {
  test(`the remark ${JSON.stringify(remark.slice(0, 60))} is shown without Java's classes and stacks, and kept as it is`, () => {
    assert.equal(remarkText(remark), text)
    const error = toClientError(new ResponseError(1, remark), 'a:1')
    assert.equal(error.remark, remark)
    assert.doesNotMatch(error.message, /org\.apache|java\.lang|\.java:/)
  })
}

test('equal reasons stand once, with everyone that had them', () => {
  const failures = ['a', 'b', 'a', 'c'].map(who => ({ who, why: who === 'c' ? 'gone' : 'busy' }))
  assert.equal(reasonsText(failures), 'a (2 times), b: busy; c: gone')
})

test('a refusal because of the user is told from a topic or a broker that may not be used', () => {
  const refusal = (code: number, remark: string) => toClientError(new ResponseError(code, remark), 'a:1')
  const ofUser = [
    refusal(16, 'User:orders has no permission to access Topic:Orders from 10.0.0.1, no matched policies'),
    refusal(16, 'check signature failed'),
    refusal(1, 'org.apache.rocketmq.acl.common.AclException: Check signature failed for accessKey=orders'),
  ]
  for (const error of ofUser) assert.deepEqual([isAccessRefusal(error), error.retriable], [true, false], error.message)
  const others = [
    refusal(16, 'the broker[10.0.0.1:10911] sending message is forbidden'),
    refusal(16, 'the topic[Orders] sending message is forbidden'),
    refusal(1, 'disk is broken'),
  ]
  for (const error of others) assert.deepEqual([isAccessRefusal(error), error.retriable], [false, true], error.message)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RemotingError, ResponseError } from '@gantrymq/remoting'
import { ClientError, toClientError } from './errors.ts'

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

import assert from 'node:assert/strict'
import test from 'node:test'
import { formatCommand, formatEvent, parseCommand, parseEvent } from './worker-lines.ts'

test('parseCommand returns what formatCommand was given', () => {
  const line = formatCommand('send', { topic: 'a=b', bytes: 128 })
  assert.equal(line, 'send topic=a=b bytes=128\n')
  assert.deepEqual(parseCommand(line), { command: 'send', options: { topic: 'a=b', bytes: '128' } })
  assert.deepEqual(parseCommand(formatCommand('mark')), { command: 'mark', options: {} })
})

test('parseEvent tells events from the output of libraries', () => {
  assert.deepEqual(parseEvent(formatEvent({ event: 'running' })), { event: 'running' })
  assert.equal(parseEvent('RocketMQLog:WARN No appenders'), undefined)
})

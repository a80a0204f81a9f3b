import assert from 'node:assert/strict'
import test from 'node:test'
import { formatCommand, formatEvent, parseCommand, parseEvent } from './worker-lines.ts'

test('a command is read as it was written', () => {
  const line = formatCommand('send', { topic: 'a=b', bytes: 128 })
  assert.equal(line, 'send topic=a=b bytes=128\n')
  assert.deepEqual(parseCommand(line), { command: 'send', options: { topic: 'a=b', bytes: '128' } })
  assert.deepEqual(parseCommand(formatCommand('mark')), { command: 'mark', options: {} })
})

test('an event is told from the talk of libraries', () => {
  assert.deepEqual(parseEvent(formatEvent({ event: 'running' })), { event: 'running' })
  assert.equal(parseEvent('RocketMQLog:WARN No appenders'), undefined)
})

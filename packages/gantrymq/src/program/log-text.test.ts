import assert from 'node:assert/strict'
import { test } from 'node:test'
import { textLog } from './log.ts'
import { logLine, timestamp } from './log-text.ts'

const noon = new Date(2026, 10, 1, 12, 3, 4).getTime()

test('a line has the layout of the log files of Apache', () => {
  const line = logLine(noon, 'info', { broker: 'broker-a', addr: '10.0.0.1:10911', id: 0n }, 'new broker registered')
  assert.equal(line, '2026-11-01 12:03:04 INFO main - new broker registered broker=broker-a addr=10.0.0.1:10911 id=0\n')
  assert.equal(timestamp(noon), '2026-11-01 12:03:04')
})

test('text from a peer cannot start a new line', () => {
  const line = logLine(noon, 'warn', { topic: 'a\n2026-11-01 12:03:04 INFO main - fine', key: '\u2028\u0085' }, 'bad')
  assert.equal(line.split(/[\n\r\u0085\u2028]/).length, 2)
})

test('an error is shown with its stack and its cause, indented', () => {
  const error = new Error('no', { cause: new Error('disk full') })
  const [first, ...rest] = logLine(noon, 'error', { err: error, path: '/a b' }, 'failed').trimEnd().split('\n')
  assert.equal(first, '2026-11-01 12:03:04 ERROR main - failed path="/a b"')
  assert.ok(rest.every(line => line.startsWith('  ')))
  assert.match(rest.join('\n'), /Error: no[^]*caused by Error: disk full/)
})

test('lines below the level are not written', () => {
  const lines: string[] = []
  const log = textLog('warn', line => lines.push(line))
  log.debug({}, 'a')
  log.info({}, 'b')
  log.warn({}, 'c')
  log.error({}, 'd')
  assert.deepEqual(
    lines.map(line => line.slice(20).trimEnd()),
    ['WARN main - c', 'ERROR main - d'],
  )
})

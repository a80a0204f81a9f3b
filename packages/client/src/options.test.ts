import assert from 'node:assert/strict'
import { test } from 'node:test'
import { custom, flag, millis, readOptions, textOption, whole, word } from './options.ts'

const table = {
  group: textOption('g', 'group'),
  timeoutMs: millis(3000, 'sendMsgTimeout', { min: 1 }),
  retries: whole(2, 'retryTimes', { max: 10 }),
  trace: flag(false, 'enableTrace'),
  kind: word('zlib', 'compressType', ['zlib', 'lz4']),
  queue: custom<{ id: number } | undefined>(undefined, null, 'a queue', value => typeof value === 'object'),
}

test('options left out get their defaults, and the result is frozen', () => {
  const options = readOptions('Test', table, { retries: 0, timeoutMs: undefined })
  assert.deepEqual(options, { group: 'g', timeoutMs: 3000, retries: 0, trace: false, kind: 'zlib', queue: undefined })
  assert.ok(Object.isFrozen(options))
})

test('the error for a wrong value names the option, the value and the accepted values', () => {
  const wrong = (given: object, message: string) =>
    assert.throws(() => readOptions('Test', table, given), { code: 'BAD_OPTION', message: `Test: option ${message}` })
  wrong({ retries: 11 }, 'retries must be a whole number from 0 to 10, not 11')
  wrong({ retries: '3' }, 'retries must be a whole number from 0 to 10, not "3"')
  wrong({ timeoutMs: 0 }, 'timeoutMs must be a whole number from 1 to 2147483647, in milliseconds, not 0')
  wrong({ timeoutMs: Number.NaN }, 'timeoutMs must be a whole number from 1 to 2147483647, in milliseconds, not NaN')
  wrong({ kind: 'gzip' }, 'kind must be one of zlib, lz4, not "gzip"')
  wrong({ group: null }, 'group must be a string, not null')
  wrong({ trace: 1 }, 'trace must be true or false, not 1')
  wrong({ queue: () => 0 }, 'queue must be a queue, not a value of type function')
})

test('the error for an unknown option suggests the similar one', () => {
  assert.throws(() => readOptions('Test', table, { timeoutms: 1 } as object), {
    code: 'BAD_OPTION',
    message: 'Test: there is no option timeoutms; did you mean timeoutMs?',
  })
  for (const slip of ['retires', 'timeout', 'retrie', 'retriess']) {
    assert.throws(() => readOptions('Test', table, { [slip]: 1 }), {
      message: new RegExp(`did you mean ${slip.startsWith('r') ? 'retries' : 'timeoutMs'}\\?`),
    })
  }
  assert.throws(() => readOptions('Test', table, { colour: 1 } as object), {
    message: 'Test: there is no option colour; docs/client-options.md lists all',
  })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BatchedMessage, batchedSize, encodeBatch } from './batch.ts'
import { readMessageProperties, readMessageProperty, writeMessageProperties } from './properties.ts'

const word = fc.string({ unit: fc.constantFrom('a', 'b', '\u0001', '\u0002', '中'), maxLength: 12 })

/** A literal and slow translation of Java's string2messageProperties. */
function slowly(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (const entry of text.split('\u0002')) {
    const [name = '', ...rest] = entry.split('\u0001')
    if (name !== '' && rest.join('\u0001') !== '') properties.set(name, rest.join('\u0001'))
  }
  return properties
}

test('any text is read as by a reader that splits it into entries', () => {
  fc.assert(
    fc.property(word, word, word, word, (a, b, c, d) => {
      const text = `${a}\u0001${b}\u0002${c}\u0001${d}`
      const read = readMessageProperties(text)
      assert.deepEqual([...read], [...slowly(text)])
      for (const name of ['a', 'b', 'ab', '中', ...read.keys()]) {
        assert.equal(readMessageProperty(text, name), read.get(name), JSON.stringify([text, name]))
      }
    }),
    { numRuns: 2000 },
  )
})

test('the last of several properties with the same name and a value counts', () => {
  assert.equal(readMessageProperty('a\u00011\u0002a\u00012\u0002', 'a'), '2')
  assert.equal(readMessageProperty('a\u00011\u0002a\u0001\u0002', 'a'), '1')
  assert.equal(readMessageProperty('xa\u00011', 'a'), undefined)
})

test('properties may have at most 32,767 bytes', () => {
  const full: [string, string][] = [['n', `${'中'.repeat(10_921)}a`]]
  assert.equal(Buffer.byteLength(writeMessageProperties(full)), 32_767)
  const over: [string, string][] = [['n', `${'中'.repeat(10_921)}ab`]]
  assert.throws(() => writeMessageProperties(over), { code: 'BAD_OPTION', message: /32767 bytes/ })
  assert.throws(() => encodeBatch([{ flag: 0, body: Buffer.alloc(0), properties: new Map(over) }]), {
    code: 'BAD_OPTION',
  })
})

test('the size of a message in a batch is known before the batch is encoded', () => {
  const message = fc.record({
    flag: fc.integer(),
    body: fc.uint8Array({ maxLength: 40 }).map(bytes => Buffer.from(bytes)),
    properties: fc
      .array(fc.tuple(fc.stringMatching(/^[a-z中]+$/), fc.stringMatching(/^[a-z😀]+$/u)), { maxLength: 4 })
      .map(entries => new Map(entries)),
  })
  fc.assert(
    fc.property(fc.array(message, { maxLength: 4 }), (messages: BatchedMessage[]) => {
      const size = messages.reduce((sum, one) => sum + batchedSize(one), 0)
      assert.equal(encodeBatch(messages).length, size)
    }),
  )
})

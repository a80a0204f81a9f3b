import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readMessageProperties, stringHash } from '@gantrymq/protocol'
import fc from 'fast-check'
import { RecordProperties } from './record-properties.ts'

/** Texts with separators in all places, and with the names that count. */
const texts = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        'TAGS',
        'KEYS',
        'UNIQ_KEY',
        'WAIT',
        'DELAY',
        'true',
        'false',
        'TRUE',
        '3',
        ' ',
        '  ',
        'ключ',
        '😀',
        'x',
      ),
      fc.constantFrom('\u0001', '\u0002', '\u0001', '\u0002'),
      fc.string({ maxLength: 5 }),
    ),
    { maxLength: 25 },
  )
  .map(parts => parts.join(''))

const PREFIX = stringHash('TopicA#')

test('whatever the text, the same entries count as for the codec of the client', () => {
  const properties = new RecordProperties()
  fc.assert(
    fc.property(texts, text => {
      const bytes = Buffer.from(text)
      const end = properties.scan(bytes, 0, bytes.length, PREFIX, false)
      const expected = readMessageProperties(bytes.toString())
      assert.equal(end, bytes.length)
      assert.equal(properties.tagsHash, stringHash(expected.get('TAGS') ?? ''))
      assert.equal(properties.waits, (expected.get('WAIT') ?? 'true').toLowerCase() === 'true')
      const delay = expected.get('DELAY') ?? ''
      assert.equal(properties.delayLevel, /^\d{1,9}$/.test(delay) ? Number(delay) : 0)
      const unique = expected.get('UNIQ_KEY')
      const keys = (expected.get('KEYS') ?? '').split(' ').filter(key => key !== '')
      const hashes = [...(unique === undefined ? [] : [unique]), ...keys].map(key => stringHash(`TopicA#${key}`))
      assert.deepEqual([...properties.keyHashes.subarray(0, properties.keyCount)], hashes)
    }),
    { numRuns: 2000 },
  )
})

test('cutting WAIT takes nothing else, and leaves no WAIT', () => {
  const properties = new RecordProperties()
  fc.assert(
    fc.property(texts, text => {
      const bytes = Buffer.from(text)
      const expected = readMessageProperties(bytes.toString())
      const end = properties.scan(bytes, 0, bytes.length, PREFIX, true)
      const left = readMessageProperties(bytes.toString('utf8', 0, end))
      expected.delete('WAIT')
      assert.deepEqual(left, expected)
    }),
    { numRuns: 2000 },
  )
})

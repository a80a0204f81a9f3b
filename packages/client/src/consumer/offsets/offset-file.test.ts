import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { QueueOffset } from '@gantrymq/protocol'
import { RemotingError } from '@gantrymq/remoting'
import fc from 'fast-check'
import { ClientError } from '../../errors.ts'
import { readOffsetFile, writeOffsetFile } from './offset-file.ts'

const offsets: QueueOffset[] = [
  { queue: { topic: 'TopicTest', brokerName: 'broker-a', queueId: 1 }, offset: 5 },
  { queue: { topic: '%RETRY%x', brokerName: 'broké/r', queueId: 2 }, offset: 123 },
]

// Written by OffsetSerializeWrapper of 4.9.7 and 5.5.0.
const by49 = `{
	"offsetTable":{{
			"brokerName":"broker-a",
			"queueId":1,
			"topic":"TopicTest"
		}:5,{
			"brokerName":"broké/r",
			"queueId":2,
			"topic":"%RETRY%x"
		}:123
	}
}`
const by55 = `{
	"offsetTable":{
		{
			"brokerName":"broker-a",
			"queueId":1,
			"topic":"TopicTest"
		}:5,
		{
			"brokerName":"broké/r",
			"queueId":2,
			"topic":"%RETRY%x"
		}:123
	}
}`

test('the file is byte for byte what Java 5.5 writes', () => {
  assert.equal(writeOffsetFile(offsets), by55)
  assert.equal(writeOffsetFile([]), '{\n\t"offsetTable":{}\n}')
})

test('files of Java 4.9, of Java 5.x and in plain JSON are read', () => {
  const quoted = JSON.stringify({
    offsetTable: Object.fromEntries(offsets.map(({ queue, offset }) => [JSON.stringify(queue), offset])),
  })
  for (const text of [by49, by55, quoted]) assert.deepEqual(readOffsetFile(Buffer.from(text)), offsets)
})

test('a damaged file is rejected with a typed error, whatever is wrong with it', () => {
  const files = [
    '',
    '[]',
    '{}',
    '{"offsetTable":5}',
    '{"offsetTable":{"x":5}}',
    '{"offsetTable":{{"topic":"t"}:5}}',
    '{"offsetTable":{{"topic":"t","brokerName":"b"}:-1}}',
    '{"offsetTable":{{"topic":"t","brokerName":"b"}:"x"}}',
    by55.slice(0, -20),
  ]
  for (const text of files) {
    assert.throws(
      () => readOffsetFile(Buffer.from(text)),
      (error: unknown) => error instanceof ClientError || error instanceof RemotingError,
      text,
    )
  }
})

test('every table of offsets survives writing and reading', () => {
  const queue = fc.record({ topic: fc.string(), brokerName: fc.string(), queueId: fc.nat() }, { noNullPrototype: true })
  const table = fc.uniqueArray(fc.record({ queue, offset: fc.maxSafeNat() }, { noNullPrototype: true }), {
    selector: ({ queue }) => JSON.stringify(queue),
  })
  fc.assert(fc.property(table, table => assert.deepEqual(readOffsetFile(Buffer.from(writeOffsetFile(table))), table)))
})

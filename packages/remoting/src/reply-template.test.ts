import assert from 'node:assert/strict'
import { test } from 'node:test'
import { REPLY_FLAG, type SerializeType } from './command.ts'
import { ANNOUNCED_VERSION } from './connection-options.ts'
import { encodeFrame } from './frame.ts'
import { writeDecimal } from './number-bytes.ts'
import { Outbox } from './outbox.ts'
import { ReplyTemplate, withCode } from './reply-template.ts'

interface Parts {
  readonly code?: number
  readonly opaque: number
  readonly remark?: string
  readonly fields?: Readonly<Record<string, string>>
  readonly body?: string
}

/** The same reply as the router's connection writes it. */
function frameOf({ code = 0, opaque, remark, fields, body }: Parts, serializeType: SerializeType): Buffer {
  return encodeFrame(
    {
      code,
      language: 'JAVA',
      version: ANNOUNCED_VERSION,
      opaque,
      flag: REPLY_FLAG,
      remark: remark ?? null,
      extFields: fields === undefined ? null : new Map(Object.entries(fields)),
      body: body === undefined ? null : Buffer.from(body),
      serializeType,
    },
    new Outbox(),
  )
}

const encodings: readonly SerializeType[] = ['JSON', 'ROCKETMQ']
const numbers = [0, 9, 10, 999_999_999, 1_000_000_000, 2 ** 31, 2 ** 32 + 5, Number.MAX_SAFE_INTEGER]

for (const encoding of encodings) {
  test(`a template writes the bytes of writeFrame: values and constants, ${encoding}`, () => {
    const values = { msgId: 'C0A8', queueOffset: '', transactionId: '' }
    const constants = { MSG_REGION: 'a "region"', TRACE_ON: 'true' }
    const template = new ReplyTemplate({ values, constants })
    const out = Buffer.alloc(template.room + 100, 0xff)
    const name = Buffer.from('<unique>')
    for (const value of numbers) {
      for (const opaque of [0, -7, 2 ** 31 - 1, -(2 ** 31)]) {
        template.begin(out, 3, encoding, opaque)
        template.hex(value)
        template.number(value)
        template.text(name, 1, 7)
        const end = template.end(4)
        const msgId = `C0A8${value.toString(16).toUpperCase().padStart(16, '0')}`
        const fields = { msgId, queueOffset: String(value), transactionId: 'unique', ...constants }
        const expected = frameOf({ opaque, fields, body: 'body' }, encoding)
        assert.equal(
          Buffer.concat([out.subarray(3, end), Buffer.from('body')]).toString('latin1'),
          expected.toString('latin1'),
        )
      }
    }
  })

  test(`a template writes the bytes of writeFrame: a code, a remark and values only, ${encoding}`, () => {
    const template = new ReplyTemplate({ code: 19, remark: 'FÖUND', values: { maxOffset: '', minOffset: '' } })
    const out = Buffer.alloc(template.room + 40)
    template.begin(out, 0, encoding, 5)
    template.number(-1)
    template.number(12)
    const fields = { maxOffset: '-1', minOffset: '12' }
    assert.deepEqual(
      out.subarray(0, template.end(0)),
      frameOf({ code: 19, remark: 'FÖUND', opaque: 5, fields }, encoding),
    )
  })

  test(`a template writes the bytes of writeFrame: no fields at all, ${encoding}`, () => {
    const template = new ReplyTemplate({})
    const out = Buffer.alloc(template.room)
    template.begin(out, 0, encoding, -1)
    assert.deepEqual(out.subarray(0, template.end(0)), frameOf({ opaque: -1 }, encoding))
  })

  test(`a frame gets another code, ${encoding}`, () => {
    const fields = { msgId: 'a,b' }
    assert.deepEqual(
      withCode(frameOf({ opaque: 8, fields, body: 'body' }, encoding), 10),
      frameOf({ code: 10, opaque: 8, fields, body: 'body' }, encoding),
    )
  })
}

test('numbers are written in all their digits', () => {
  const bytes = Buffer.alloc(24)
  for (const value of [...numbers, ...numbers.map(number => -number), 1_000_000_001, 123_456_789_012_345]) {
    // There is no decimal -0.
    const expected = String(value)
    assert.equal(bytes.toString('latin1', 2, writeDecimal(bytes, 2, value)), expected)
  }
})

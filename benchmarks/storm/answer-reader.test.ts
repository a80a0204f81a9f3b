import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AnswerReader } from './answer-reader.ts'

function answer(code: number, bodyBytes: number): Buffer {
  const header = `{"code":${code},"flag":1,"opaque":7}`
  const frame = Buffer.alloc(8 + header.length + bodyBytes, '"code":99')
  frame.writeUInt32BE(frame.length - 4, 0)
  frame.writeUInt32BE(header.length, 4)
  frame.write(header, 8)
  return frame
}

test('the code of every answer is read wherever the bytes are cut', () => {
  const bytes = Buffer.concat([answer(0, 3), answer(17, 0), answer(1, 400)])
  for (let cut = 0; cut <= bytes.length; cut++) {
    const codes: number[] = []
    const reader = new AnswerReader(code => codes.push(code))
    reader.read(bytes, cut)
    reader.read(bytes.subarray(cut), bytes.length - cut)
    assert.deepEqual(codes, [0, 17, 1])
  }
})

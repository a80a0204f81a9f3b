import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import { bodyCrc } from './body-crc.ts'

test('the CRC of a body of any length, wherever it is, is that of zlib without the sign bit', () => {
  const bytes = Buffer.from(Array.from({ length: 1000 }, (_, i) => (i * 167 + (i >> 3)) & 0xff))
  for (let size = 0; size < 600; size++) {
    const start = size % 17
    assert.equal(bodyCrc(bytes, start, start + size), crc32(bytes.subarray(start, start + size)) & 0x7fffffff)
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as zlib from 'node:zlib'
import { golden } from '../../test/golden.ts'
import { hasWholeZstdFrame } from './zstd-frame.ts'

const { ZSTD_c_checksumFlag: checksum, ZSTD_c_contentSizeFlag: contentSize } = zlib.constants
const random = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * i * 31 + (i >> 3)) & 0xff))

const frames: Readonly<Record<string, Buffer>> = {
  'from Java': golden('5.5.0', 'body-zstd.bin'),
  'of an empty body': zlib.zstdCompressSync(Buffer.alloc(0)),
  'of one repeated byte': zlib.zstdCompressSync(Buffer.alloc(300_000, 'x')),
  'of several blocks': zlib.zstdCompressSync(random),
  'with a checksum': zlib.zstdCompressSync(random.subarray(0, 500), { params: { [checksum]: 1 } }),
  'without its size': zlib.zstdCompressSync(random.subarray(0, 500), { params: { [contentSize]: 0 } }),
}

for (const [what, frame] of Object.entries(frames)) {
  test(`a zstd frame ${what} is complete, and is not if any part of its end is missing`, () => {
    assert.equal(hasWholeZstdFrame(frame), true)
    assert.equal(hasWholeZstdFrame(Buffer.concat([frame, frame])), true)
    const step = Math.max(1, frame.length >> 9)
    for (let end = 0; end < frame.length; end += step) assert.equal(hasWholeZstdFrame(frame.subarray(0, end)), false)
    assert.equal(hasWholeZstdFrame(frame.subarray(0, -1)), false)
  })
}

test('other bytes are not recognised as a zstd frame', () => {
  assert.equal(hasWholeZstdFrame(zlib.deflateSync('x')), false)
})

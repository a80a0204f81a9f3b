import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { deflateSync, zstdCompressSync } from 'node:zlib'
import { RemotingError } from '@gantrymq/remoting'
import fc from 'fast-check'
import { compressFrameSync } from 'lz4-napi'
import { golden } from '../../test/golden.ts'
import { ASYNC_COMPRESSION_BYTES, compress, compressAsync, decompress, decompressAsync } from './compression.ts'
import { readLz4Frames } from './lz4-frame.ts'
import type { Compression } from './sys-flag.ts'

const types: readonly Compression[] = ['zlib', 'zstd', 'lz4']
const text = readFileSync(new URL('../../test/golden/body.txt', import.meta.url))

test('bodies that Java compressed are decompressed, for each type of both lines', async () => {
  for (const line of ['4.9.7', '5.5.0'] as const) {
    for (const type of types) {
      const body = golden(line, `body-${type}.bin`)
      assert.deepEqual(decompress(body, type), text, `${line} ${type}`)
      assert.deepEqual(await decompressAsync(body, type), text)
    }
  }
})

test('a compressed body is decompressed unchanged, synchronously and in the thread pool', async () => {
  const pattern = fc.array(fc.constantFrom('a', 'bcd', 'order', '中'), { maxLength: 400 })
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 500 }).map(bytes => Buffer.from(bytes)),
    pattern.map(words => Buffer.from(words.join(''))),
  )
  fc.assert(
    fc.property(body, fc.constantFrom(...types), fc.integer({ min: 1, max: 9 }), (bytes, type, level) => {
      assert.deepEqual(decompress(compress(bytes, type, level), type, bytes.length || 1), bytes)
    }),
  )
  const large = Buffer.concat(Array.from({ length: 200 }, () => text))
  assert.ok(large.length > ASYNC_COMPRESSION_BYTES)
  for (const type of types) {
    const packed = await compressAsync(large, type)
    assert.deepEqual(await decompressAsync(packed, type), large)
    assert.deepEqual(await decompressAsync(await compressAsync(text, type), type), text)
  }
})

test('a body that would exceed the limit is refused before its memory is allocated', async () => {
  const size = 65 * 1024 * 1024
  const nothing = Buffer.alloc(size)
  const bombs: Record<Compression, Buffer> = {
    zlib: deflateSync(nothing, { level: 1 }),
    zstd: zstdCompressSync(nothing),
    lz4: compressFrameSync(nothing),
  }
  for (const type of types) {
    const before = process.memoryUsage().rss
    const refused = { code: 'BAD_BODY', message: /larger than 67108864 bytes/ }
    assert.throws(() => decompress(bombs[type], type), refused, type)
    await assert.rejects(decompressAsync(bombs[type], type), refused, type)
    assert.throws(() => decompress(bombs[type], type, 1000), { code: 'BAD_BODY', message: /larger than 1000 bytes/ })
    assert.ok(process.memoryUsage().rss - before < 3 * size, type)
  }
})

test('truncated and random bytes are typed errors', async () => {
  for (const type of types) {
    const body = golden('5.5.0', `body-${type}.bin`)
    for (let end = 0; end < body.length; end++) {
      assert.throws(() => decompress(body.subarray(0, end), type), { code: 'BAD_BODY' }, `${type} ${end}`)
    }
    await assert.rejects(decompressAsync(Buffer.alloc(ASYNC_COMPRESSION_BYTES, 7), type), { code: 'BAD_BODY' })
    fc.assert(
      fc.property(fc.nat(body.length - 1), fc.nat(255), (at, byte) => {
        const garbled = Buffer.from(body)
        garbled[at] = byte
        readOrRefused(() => decompress(garbled, type, 10_000))
      }),
    )
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
        readOrRefused(() => decompress(Buffer.from(bytes), type, 10_000))
      }),
    )
  }
})

function readOrRefused(read: () => Buffer): void {
  try {
    assert.ok(read().length <= 10_000)
  } catch (error) {
    assert.ok(error instanceof RemotingError && error.code === 'BAD_BODY', String(error))
  }
}

test('a level that does not exist is an option error', async () => {
  assert.throws(() => compress(text, 'zlib', 11), { code: 'BAD_OPTION', message: /zlib/ })
  const large = Buffer.alloc(ASYNC_COMPRESSION_BYTES)
  await assert.rejects(compressAsync(large, 'zlib', 11), { code: 'BAD_OPTION' })
  await assert.rejects(compressAsync(large, 'zstd', 23), { code: 'BAD_OPTION', message: /1 to 22/ })
  assert.throws(() => compress(text, 'zstd', 0.5), { code: 'BAD_OPTION' })
})

/** Wraps handmade blocks into a frame without checksums. */
function frame(...blocks: Buffer[]): Buffer {
  const head = Buffer.from('04224d18604000', 'hex')
  const parts = blocks.flatMap(block => [word(block.length), block])
  return Buffer.concat([head, ...parts, word(0)])
}

function word(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

test('LZ4 copies reach back over blocks, overlap, and stop at the start', () => {
  const abc = Buffer.from('30616263', 'hex')
  // No literals, a copy of 4 + 2 bytes from 3 bytes back, then a literal.
  const again = Buffer.from('0203001078', 'hex')
  assert.equal(readLz4Frames(frame(abc, again), 100).toString(), 'abcabcabcx')
  assert.equal(readLz4Frames(Buffer.concat([frame(abc), frame(abc)]), 100).toString(), 'abcabc')
  assert.throws(() => readLz4Frames(frame(abc, again.subarray(0, 3)), 8), { code: 'BAD_BODY', message: /than 8 bytes/ })
  for (const distance of ['0000', '0400']) {
    const far = Buffer.from(`02${distance}1078`, 'hex')
    assert.throws(() => readLz4Frames(frame(abc, far), 100), { code: 'BAD_BODY', message: /before its start/ })
  }
})

test('LZ4 frames with sizes, checksums, stored blocks and skippable frames in between are read', () => {
  const skipped = Buffer.concat([Buffer.from('502a4d18', 'hex'), word(3), Buffer.from('xyz')])
  const noise = Buffer.from(Array.from({ length: 5000 }, (_, index) => (index * index * 31 + (index >> 3)) & 0xff))
  const checked = compressFrameSync(noise, { contentChecksum: true, blockChecksums: true })
  assert.deepEqual(readLz4Frames(Buffer.concat([skipped, checked, skipped]), 5000), noise)
  const sized = Buffer.concat([
    Buffer.from('04224d1868400300000000000000', 'hex'),
    Buffer.of(0),
    frame(Buffer.from('30616263', 'hex')).subarray(7),
  ])
  assert.equal(readLz4Frames(sized, 3).toString(), 'abc')
  const stored = Buffer.concat([Buffer.from('04224d18604000', 'hex'), word(0x80000002), Buffer.from('hi'), word(0)])
  assert.equal(readLz4Frames(stored, 2).toString(), 'hi')
  assert.throws(() => readLz4Frames(stored, 1), { code: 'BAD_BODY', message: /larger than 1 bytes/ })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { PROXY_V2_SIGNATURE } from './protocol-signatures.ts'
import { PROXY_V1_LIMIT, PROXY_V2_LIMIT, type ProxyPreamble, readProxyV1, readProxyV2 } from './proxy-protocol.ts'

type ReadPreamble = (bytes: Buffer) => ProxyPreamble | undefined

/** A preamble must be read the same, however many of its bytes have arrived and whatever follows it. */
function readInPieces(read: ReadPreamble, preamble: Buffer): ProxyPreamble | undefined {
  const following = Buffer.concat([preamble, Buffer.from('\r\nmore')])
  for (let length = 0; length < preamble.length; length++) {
    assert.equal(read(following.subarray(0, length)), undefined, `after ${length} bytes`)
  }
  for (let length = preamble.length + 1; length <= following.length; length++) {
    assert.deepEqual(read(following.subarray(0, length)), read(preamble))
  }
  return read(preamble)
}

function v2(command: number, family: number, block: readonly number[]): Buffer {
  const head = Buffer.of(command, family, block.length >> 8, block.length & 255)
  return Buffer.concat([PROXY_V2_SIGNATURE, head, Buffer.from(block)])
}

const ipv4Block = [10, 0, 0, 1, 10, 0, 0, 2, 0x30, 0x39, 0x26, 0x94]
const ipv6Block = [
  0x20,
  1,
  0x0d,
  0xb8,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  1,
  ...Array<number>(16).fill(0),
  0x30,
  0x39,
  1,
  1,
]

const v1Lines: readonly [line: string, source: string | null][] = [
  ['PROXY TCP4 203.0.113.9 10.0.0.2 12345 9876\r\n', '203.0.113.9:12345'],
  ['PROXY TCP6 2001:db8::1 ::1 65535 0\r\n', '2001:db8::1:65535'],
  ['PROXY UNKNOWN\r\n', null],
  ['PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n', null],
]

for (const [line, source] of v1Lines) {
  test(`version 1: ${JSON.stringify(line)} comes from ${source}`, () => {
    assert.deepEqual(readInPieces(readProxyV1, Buffer.from(line)), { source, length: line.length })
  })
}

const v2Preambles: readonly [name: string, preamble: Buffer, source: string | null][] = [
  ['IPv4', v2(0x21, 0x11, ipv4Block), '10.0.0.1:12345'],
  ['IPv4 with extensions', v2(0x21, 0x11, [...ipv4Block, 4, 0, 3, 1, 2, 3]), '10.0.0.1:12345'],
  ['IPv6', v2(0x21, 0x21, ipv6Block), '2001:db8::1:12345'],
  ['UNIX sockets', v2(0x21, 0x31, Array<number>(216).fill(0x2f)), null],
  ['unspecified addresses', v2(0x21, 0, []), null],
  ['the proxy itself', v2(0x20, 0, []), null],
  ['the proxy itself, with addresses to ignore', v2(0x20, 0x11, ipv4Block), null],
]

for (const [name, preamble, source] of v2Preambles) {
  test(`version 2: ${name}`, () => {
    assert.deepEqual(readInPieces(readProxyV2, preamble), { source, length: preamble.length })
  })
}

const brokenLines = [
  'PROXY TCP4 10.0.0.1 10.0.0.2 1\r\n',
  'PROXY TCP4 10.0.0.1 10.0.0.2 1 2 3\r\n',
  'PROXY TCP4 10.0.0.1 10.0.0.2 65536 1\r\n',
  'PROXY TCP4 10.0.0.1 10.0.0.2 -1 1\r\n',
  'PROXY TCP4 10.0.0.1  10.0.0.2 1 1\r\n',
  'PROXY TCP4 ::1 ::1 1 1\r\n',
  'PROXY TCP6 10.0.0.1 10.0.0.2 1 1\r\n',
  'PROXY tcp4 10.0.0.1 10.0.0.2 1 1\r\n',
  'PROXY \r\n',
  'PROXY UNKNOWN'.padEnd(PROXY_V1_LIMIT, 'x'),
]

for (const line of brokenLines) {
  test(`version 1: ${JSON.stringify(line)} is refused`, () => {
    assert.throws(() => readProxyV1(Buffer.from(line)), { code: 'BAD_FRAME' })
  })
}

const brokenV2: readonly [name: string, preamble: Buffer][] = [
  ['version 3', v2(0x31, 0x11, ipv4Block)],
  ['unknown command', v2(0x22, 0x11, ipv4Block)],
  ['unknown family', v2(0x21, 0x41, ipv4Block)],
  ['unknown transport', v2(0x21, 0x13, ipv4Block)],
  ['too short for its addresses', v2(0x21, 0x21, ipv4Block)],
  ['other signature', Buffer.from(v2(0x21, 0x11, ipv4Block)).fill(0, 3, 4)],
]

for (const [name, preamble] of brokenV2) {
  test(`version 2: ${name} is refused`, () => {
    assert.throws(() => readProxyV2(preamble), { code: 'BAD_FRAME' })
  })
}

test('version 2: a length beyond the limit is refused from its sixteen bytes alone', () => {
  const announced = (length: number): Buffer => v2(0x21, 0x11, Array<number>(length - 16).fill(1)).subarray(0, 16)
  assert.equal(readProxyV2(announced(PROXY_V2_LIMIT)), undefined)
  assert.throws(() => readProxyV2(announced(PROXY_V2_LIMIT + 1)), {
    code: 'BAD_FRAME',
    message: /537 bytes.*limit is 536/,
  })
  assert.equal(readProxyV2(announced(600), 600), undefined)
})

test('random addresses are read back, and a truncated preamble is incomplete', () => {
  const byte = fc.nat(255)
  fc.assert(
    fc.property(fc.array(byte, { minLength: 12, maxLength: 12 }), fc.nat(100), (block, cut) => {
      const preamble = v2(0x21, 0x11, block)
      const port = (block[8] ?? 0) * 256 + (block[9] ?? 0)
      assert.equal(readProxyV2(preamble.subarray(0, Math.min(cut, preamble.length - 1))), undefined)
      assert.equal(readProxyV2(preamble)?.source, `${block.slice(0, 4).join('.')}:${port}`)
    }),
  )
})

test('random bytes after either opening end in a preamble, an error, or a bounded wait', () => {
  const openings: readonly [ReadPreamble, Buffer, number][] = [
    [readProxyV1, Buffer.from('PROXY '), PROXY_V1_LIMIT],
    [readProxyV2, PROXY_V2_SIGNATURE, PROXY_V2_LIMIT],
  ]
  fc.assert(
    fc.property(fc.constantFrom(...openings), fc.uint8Array({ maxLength: 700 }), ([read, opening, limit], tail) => {
      const bytes = Buffer.concat([opening, tail])
      try {
        const preamble = read(bytes)
        if (preamble === undefined) assert.ok(bytes.length < limit)
        else assert.ok(preamble.length <= Math.min(limit, bytes.length))
      } catch (error) {
        assert.equal((error as { code: string }).code, 'BAD_FRAME')
      }
    }),
  )
})

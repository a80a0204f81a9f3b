import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { detectProtocol, type Protocol, PROXY_V2_SIGNATURE } from './protocol-signatures.ts'

const openings: readonly [protocol: Protocol, opening: Buffer, decidedBy: number][] = [
  ['remoting', Buffer.of(0, 0, 0, 0x87, 0, 0, 0, 0x83), 1],
  ['tls', Buffer.of(0x16, 3, 1, 2, 0), 1],
  ['proxy-v1', Buffer.from('PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n'), 6],
  ['proxy-v2', Buffer.concat([PROXY_V2_SIGNATURE, Buffer.of(0x21, 0x11, 0, 12)]), 12],
  ['http1', Buffer.from('GET /readyz HTTP/1.1\r\n'), 4],
  ['http1', Buffer.from('POST / HTTP/1.1\r\n'), 5],
  ['http1', Buffer.from('PUT / HTTP/1.1\r\n'), 4],
  ['http1', Buffer.from('OPTIONS * HTTP/1.1\r\n'), 8],
  ['http2', Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), 14],
  ['unknown', Buffer.from('get / HTTP/1.1\r\n'), 1],
  ['unknown', Buffer.from('PROPFIND / HTTP/1.1\r\n'), 4],
  ['unknown', Buffer.from('SSH-2.0-OpenSSH_9.6\r\n'), 1],
  ['unknown', Buffer.of(0x80, 0, 0, 1), 1],
  ['unknown', Buffer.of(1, 0, 0, 0), 1],
  ['unknown', Buffer.from('\r\n\r\n\0\r\nQUIT\r'), 12],
]

for (const [protocol, opening, decidedBy] of openings) {
  test(`${JSON.stringify(opening.toString('latin1'))} is ${protocol} from byte ${decidedBy} on`, () => {
    for (let length = 0; length <= opening.length; length++) {
      const expected = length < decidedBy ? 'more' : protocol
      assert.equal(detectProtocol(opening.subarray(0, length)), expected, `after ${length} bytes`)
    }
  })
}

test('with a larger frame limit a larger first byte is still a frame', () => {
  assert.equal(detectProtocol(Buffer.of(1), 0x1000004), 'remoting')
  assert.equal(detectProtocol(Buffer.of(1), 0x1000003), 'unknown')
  assert.equal(detectProtocol(Buffer.of(0x16), 0x7fffffff), 'tls')
})

test('the fourteenth byte decides every input, and later bytes never change the decision', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 14, maxLength: 40 }), bytes => {
      const seen = new Set<Protocol>()
      for (let length = 1; length <= bytes.length; length++) seen.add(detectProtocol(bytes.subarray(0, length)))
      seen.delete('more')
      assert.equal(seen.size, 1)
      assert.notEqual(detectProtocol(bytes.subarray(0, 14)), 'more')
    }),
  )
})

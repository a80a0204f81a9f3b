import assert from 'node:assert/strict'
import { test } from 'node:test'
import { foreignPeer } from './foreign-peer.ts'

const peers: readonly (readonly [opening: string | Uint8Array, what: RegExp])[] = [
  ['HTTP/1.1 400 Bad', /web server/],
  ['<html>\r\n<head>', /web server/],
  ['<!DOCTYPE html>', /web server/],
  ['SSH-2.0-OpenSSH', /SSH server/],
  ['-ERR unknown com', /Redis/],
  ['220 mail.example', /SMTP/],
  ['AMQP\0\0\x09\x01', /AMQP/],
  [Buffer.from('4a0000000a382e30', 'hex'), /MySQL/],
  [Buffer.from('15030300020246', 'hex'), /TLS only: set option tls/],
  [Buffer.from('000012040000000000000300', 'hex'), /HTTP\/2 server, such as the gRPC port of a RocketMQ proxy/],
]

for (const [opening, what] of peers) {
  test(`an answer that begins with ${JSON.stringify(Buffer.from(opening).toString('latin1'))} tells what the peer is`, () => {
    assert.match(foreignPeer(Buffer.from(opening)) ?? '', what)
  })
}

test('the beginning of a frame is no foreign peer, in JSON nor in binary, of any length', () => {
  for (const length of [25, 0x1204, 0x4a, 0x32_32_30, 0xff_ff_ff]) {
    for (const type of [0, 1]) {
      const frame = Buffer.alloc(16)
      frame.writeUInt32BE(length, 0)
      frame.writeUInt32BE(120, 4)
      frame[4] = type
      frame.write('{"code":', 8)
      for (let end = 0; end <= 16; end++)
        assert.equal(foreignPeer(frame.subarray(0, end)), undefined, frame.toString('hex'))
    }
  }
})

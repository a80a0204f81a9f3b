import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FrameDecoder } from '@gantrymq/remoting'
import { goldenExchanges, goldenFrames } from './golden.ts'

const ROLES = ['broker', 'client', 'mqadmin'] as const
const RELEASES = ['4.9.7', '5.5.0']

test('every golden frame is one whole frame', () => {
  for (const { what, bytes } of goldenFrames()) assert.equal(bytes.readUInt32BE(0), bytes.length - 4, what)
})

test('brokers, clients and mqadmin of both release lines are recorded with name servers of both', () => {
  const exchanges = goldenExchanges()
  for (const role of ROLES) {
    for (const sender of RELEASES) {
      for (const server of RELEASES) {
        const found = exchanges.some(e => e.role === role && e.sender === sender && e.server === server)
        assert.ok(found, `${role} ${sender} to ${server}`)
      }
    }
  }
})

test('requests and answers are recorded with both kinds of header', () => {
  const kinds = (frames: (Buffer | null)[]) => new Set(frames.filter(frame => frame !== null).map(frame => frame[4]))
  const both = new Set([0, 1])
  assert.deepEqual(kinds(goldenExchanges().map(e => e.request)), both)
  assert.deepEqual(kinds(goldenExchanges().map(e => e.answer)), both)
})

test('registrations are recorded plain, compressed and refused', () => {
  const registrations = goldenExchanges().filter(e => e.name === 'REGISTER_BROKER')
  const zlibs = registrations.filter(e => e.request.includes(Buffer.of(0x78, 0xda)))
  assert.ok(zlibs.some(e => e.sender === '4.9.7'))
  assert.ok(zlibs.some(e => e.sender === '5.5.0'))
  assert.ok(registrations.length > 2 * zlibs.length)
})

/** The sizes of the frames that a decoder finds in a stream of two pieces. */
function sizesInPieces(stream: Buffer, cut: number): string {
  const decoder = new FrameDecoder()
  let sizes = ''
  for (const piece of [stream.subarray(0, cut), stream.subarray(cut)]) {
    decoder.push(piece)
    while (decoder.next()) sizes += ` ${4 + decoder.end - decoder.start}`
  }
  return sizes
}

test('the decoder finds each golden frame and the next one wherever the stream is cut', () => {
  const frames = goldenFrames()
  frames.forEach(({ what, bytes }, index) => {
    const neighbour = frames[(index + 1) % frames.length]?.bytes ?? bytes
    const stream = Buffer.concat([bytes, neighbour])
    const sizes = ` ${bytes.length} ${neighbour.length}`
    // Cuts further in the next frame are tried when it is the first.
    for (let cut = 1; cut < bytes.length + 16; cut++) {
      assert.equal(sizesInPieces(stream, cut), sizes, `${what}, cut at ${cut}`)
    }
  })
})

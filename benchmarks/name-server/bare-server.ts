// The least that a Node server can do, for comparison: no checks, no routing, headers parsed by JSON.parse. It answers every
// route query with one prepared body, and verifies the checksum of registrations. Prints its port.
import net from 'node:net'
import { crc32 } from 'node:zlib'

interface Header {
  readonly code: number
  readonly opaque: number
  readonly extFields: Readonly<Record<string, string>>
}

const [port = '0'] = process.argv.slice(2)

function preparedRoute(brokers: number): Buffer {
  const ids = Array.from({ length: brokers }, (_, i) => i)
  return Buffer.from(
    JSON.stringify({
      brokerDatas: ids.map(i => ({
        brokerAddrs: { 0: `10.0.${i >> 8}.${i & 255}:10911` },
        brokerName: `broker-${i}`,
        cluster: 'DefaultCluster',
        enableActingMaster: false,
      })),
      filterServerTable: {},
      queueDatas: ids.map(i => ({
        brokerName: `broker-${i}`,
        perm: 6,
        readQueueNums: 8,
        topicSysFlag: 0,
        writeQueueNums: 8,
      })),
    }),
  )
}

const route = preparedRoute(2)
const nothing = Buffer.alloc(0)

function bodyFor(header: Header, body: Buffer): Buffer {
  if (header.code === 105) return route
  if ((crc32(body) & 0x7fffffff) !== Number(header.extFields.bodyCrc32)) throw new Error('bad checksum')
  return nothing
}

function replyTo(frame: Buffer): Buffer {
  const headerEnd = 4 + frame.readUInt32BE(0)
  const header = JSON.parse(frame.toString('latin1', 4, headerEnd)) as Header
  const body = bodyFor(header, frame.subarray(headerEnd))
  const text = `{"code":0,"flag":1,"language":"JAVA","opaque":${header.opaque},"serializeTypeCurrentRPC":"JSON","version":513}`
  const reply = Buffer.allocUnsafe(8 + text.length + body.length)
  reply.writeUInt32BE(4 + text.length + body.length, 0)
  reply.writeUInt32BE(text.length, 4)
  reply.write(text, 8, 'latin1')
  body.copy(reply, 8 + text.length)
  return reply
}

/** Cuts chunks into frames. Joins the pieces of a large frame once. */
function frameCutter(onFrame: (frame: Buffer) => void): (chunk: Buffer) => void {
  let pieces: Buffer[] = []
  let have = 0
  let need = 4
  return chunk => {
    pieces.push(chunk)
    have += chunk.length
    if (have < need) return
    let rest = pieces.length === 1 ? chunk : Buffer.concat(pieces, have)
    while (rest.length >= 4 && rest.length >= (need = 4 + rest.readUInt32BE(0))) {
      onFrame(rest.subarray(4, need))
      rest = rest.subarray(need)
    }
    pieces = [rest]
    have = rest.length
    if (have < 4) need = 4
  }
}

const server = net.createServer({ noDelay: true }, socket => {
  const cut = frameCutter(frame => socket.write(replyTo(frame)))
  socket.on('error', () => socket.destroy())
  socket.on('data', chunk => {
    socket.cork()
    cut(chunk)
    socket.uncork()
  })
})
server.listen(Number(port), '127.0.0.1', () => console.log((server.address() as net.AddressInfo).port))
process.on('SIGTERM', () => process.exit(0))

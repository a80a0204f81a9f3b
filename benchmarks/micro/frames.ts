import { Connection, type FastPath, FrameDecoder, Outbox, writeFrame } from '@gantrymq/remoting'
import { firstFrames, registerPlan, routePlan } from '../name-server/plan.ts'
import { endlessTurn, hole } from './hole.ts'
import type { MicroCase } from './measure.ts'

const BATCH = 16
const READ_BYTES = 64 * 1024
const ROUTE_BYTES = 500

/** The route queries of a busy client: several in one chunk. */
function queries(): Buffer {
  return Buffer.concat(firstRouteFrames(BATCH))
}

function firstRouteFrames(count: number): Buffer[] {
  return routePlan({ topics: count, brokers: 2 }).frames.map(frame => frame.head)
}

/** A registration in the chunks in which a socket delivers it. */
function registrationReads(topics: number): Buffer[] {
  const [frame = Buffer.alloc(0)] = firstFrames(registerPlan({ topics, brokers: 1 }, 'unchanged'))
  const reads: Buffer[] = []
  for (let at = 0; at < frame.length; at += READ_BYTES) reads.push(frame.subarray(at, at + READ_BYTES))
  return reads
}

function cutFrames(reads: readonly Buffer[]): () => number {
  const decoder = new FrameDecoder()
  return () => {
    let frames = 0
    for (const read of reads) {
      decoder.push(read)
      while (decoder.next()) frames++
    }
    return frames
  }
}

const body = Buffer.alloc(ROUTE_BYTES, 0x20)

function writeReply(out: Outbox): void {
  writeFrame(
    {
      code: 0,
      language: 'JAVA',
      version: 513,
      opaque: 7,
      flag: 1,
      remark: null,
      extFields: null,
      body,
      serializeType: 'JSON',
    },
    out,
  )
}

function onePrepared(): FastPath {
  const bytes = Buffer.alloc(120 + ROUTE_BYTES, 0x20)
  return {
    take: (_view, { outbox }) => {
      outbox.reserve(bytes.length)
      outbox.position += bytes.copy(outbox.bytes, outbox.position)
      return 0
    },
  }
}

function feed(options: Partial<ConstructorParameters<typeof Connection>[1]>): () => void {
  const connection = new Connection(hole(), { remoteAddress: '127.0.0.1:1', turns: endlessTurn, ...options })
  const chunk = queries()
  return () => connection.feed(chunk)
}

/** Decoding and encoding of frames, without sockets. */
export function frameCases(): MicroCase[] {
  const out = new Outbox()
  return [
    { name: 'cut 16 route queries out of one read', work: cutFrames([queries()]), per: BATCH },
    { name: 'cut a registration of 1,000 topics out of its reads', work: cutFrames(registrationReads(1_000)), per: 1 },
    {
      name: 'cut a registration of 10,000 topics out of its reads',
      work: cutFrames(registrationReads(10_000)),
      per: 1,
    },
    {
      name: 'write a reply of 500 bytes',
      work: () => {
        writeReply(out)
        return out.take()
      },
      per: 1,
    },
    { name: 'answer a route query, prepared', work: feed({ fastPath: onePrepared() }), per: BATCH },
    { name: 'answer a route query, as a command', work: feed({ onRequest: () => ({ code: 0, body }) }), per: BATCH },
  ]
}

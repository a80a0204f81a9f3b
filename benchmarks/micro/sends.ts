import {
  Connection,
  type ConnectionOptions,
  copyValue,
  type ExtFields,
  type FastPath,
  NOT_TAKEN,
} from '@gantrymq/remoting'
import { type GoldenSend, goldenSends } from '@gantrymq/testkit'
import { endlessTurn, hole } from './hole.ts'
import type { MicroCase } from './measure.ts'

const BATCH = 16
const REPLY_BYTES = 120

/** The sends of a busy producer: several in one chunk. */
function feed({ frame }: GoldenSend, options: Partial<ConnectionOptions>): () => void {
  const connection = new Connection(hole(), { remoteAddress: '127.0.0.1:1', turns: endlessTurn, ...options })
  const chunk = Buffer.concat(Array.from({ length: BATCH }, () => frame))
  return () => connection.feed(chunk)
}

function asCommands(): Partial<ConnectionOptions> {
  const last: { fields?: ExtFields | null } = {}
  return {
    onRequest: ({ extFields }) => {
      last.fields = extFields
      return { code: 0 }
    },
  }
}

/** Copies the properties, the longest field, and nothing else. */
function copyingPath(): FastPath {
  const stored = Buffer.alloc(1024)
  const reply = Buffer.alloc(REPLY_BYTES, 0x20)
  return {
    take: (view, { outbox }) => {
      let longest = 0
      for (let field = 1; field < view.fieldCount; field++) {
        if (lengthOf(view.spans, field) > lengthOf(view.spans, longest)) longest = field
      }
      if (copyValue(view, longest, stored, 0) < 0) return NOT_TAKEN
      outbox.reserve(reply.length)
      outbox.position += reply.copy(outbox.bytes, outbox.position)
      return 0
    },
  }
}

function lengthOf(spans: Int32Array, field: number): number {
  return (spans[field * 4 + 3] as number) - (spans[field * 4 + 2] as number)
}

/** Requests to send a message as Apache's producers encode them, read in both ways. */
export function sendCases(): MicroCase[] {
  return goldenSends()
    .filter(({ sender }) => sender === '5.5.0')
    .flatMap(send => {
      const name = `answer ${send.name}, header ${send.serializeType}`
      return [
        { name: `${name}, as a command`, work: feed(send, asCommands()), per: BATCH },
        { name: `${name}, by a fast path`, work: feed(send, { fastPath: copyingPath() }), per: BATCH },
      ]
    })
}

import { type Command, Connection } from '@gantrymq/remoting'
import { type GoldenSend, goldenSends } from '@gantrymq/testkit'
import { hole } from './hole.ts'
import type { MicroCase } from './measure.ts'

const BATCH = 16

/** The sends of a busy producer: several in one chunk. */
function sends({ frame }: GoldenSend): Buffer {
  return Buffer.concat(Array.from({ length: BATCH }, () => frame))
}

function readAsCommands(send: GoldenSend): () => void {
  const last: { fields?: Command['extFields'] } = {}
  const connection = new Connection(hole(), {
    remoteAddress: '127.0.0.1:1',
    onRequest: ({ extFields }) => {
      last.fields = extFields
      return { code: 0 }
    },
  })
  const chunk = sends(send)
  return () => connection.feed(chunk)
}

/** Reads send requests as Apache's producers encode them, and answers them without a body. */
export function sendCases(): MicroCase[] {
  return goldenSends()
    .filter(({ sender }) => sender === '5.5.0')
    .map(send => ({
      name: `answer ${send.name}, header ${send.serializeType}, as a command`,
      work: readAsCommands(send),
      per: BATCH,
    }))
}

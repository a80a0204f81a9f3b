import type { TestContext } from 'node:test'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import type { CloseReason } from '../src/close-reason.ts'
import { Connection } from '../src/connection.ts'
import type { ConnectionOptions } from '../src/connection-options.ts'
import { header, int, optional, text } from '../src/fields.ts'
import { request } from '../src/request.ts'

export const WIPE = request({
  code: 205,
  purpose: 'for tests',
  header: header({ brokerName: text() }),
  reply: { header: header({ wipeTopicCount: int(), note: optional(text()) }) },
})

/** An answer to WIPE. */
export const wiped = (count: number) => ({ code: 0, extFields: new Map([['wipeTopicCount', String(count)]]) })

/** The two ends of a connection in memory: `server` with the first options, `client` with the second. */
export function connectionPair(
  t: TestContext,
  serving: Partial<ConnectionOptions> = {},
  calling: Partial<ConnectionOptions> = {},
) {
  const clock = new ManualClock()
  const [near, far] = memorySockets()
  /** Why the server's side of the connection ended. */
  const reasons: CloseReason[] = []
  const server = new Connection(near, {
    remoteAddress: 'client:1',
    clock,
    onClose: reason => reasons.push(reason),
    ...serving,
  })
  const client = new Connection(far, { remoteAddress: 'server:1', clock, ...calling })
  t.after(() => {
    server.destroy()
    client.destroy()
  })
  return { clock, server, client, near, far, reasons }
}

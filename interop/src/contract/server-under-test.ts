import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Owner } from '../launch/launched-program.ts'
import type { Properties, RunningNameServer } from '../launch/launcher.ts'
import { connectRaw, type RawConnection } from '../wire/raw-connection.ts'
import type { RawFrame, RawRequest } from '../wire/raw-frame.ts'
import type { ReleaseLine, NameServerKind } from '../launch/name-servers.ts'

/** How long to wait before silence counts as no answer, milliseconds. */
const SILENCE_MS = 250

/** The name server that the cases of one area share. */
export class ServerUnderTest {
  readonly kind: NameServerKind
  #running: RunningNameServer | undefined

  constructor(kind: NameServerKind) {
    this.kind = kind
  }

  use(running: RunningNameServer): void {
    this.#running = running
  }

  /** The name server's process, or its object in this process. */
  get running(): RunningNameServer {
    assert.ok(this.#running, 'the name server did not start')
    return this.#running
  }

  get line(): ReleaseLine {
    return this.kind.line
  }

  /** Picks the answer that this release line is expected to give. Without `ours`, our name server answers as 5.x does. */
  by<T>(answers: { readonly '4.9': T; readonly '5.x': T; readonly ours?: T }): T {
    if (this.line === 'ours') return 'ours' in answers ? answers.ours : answers['5.x']
    return answers[this.line]
  }

  /** Opens a connection that is closed when the case is over. */
  async connect(t: Owner): Promise<RawConnection> {
    const connection = await connectRaw(this.running.port)
    t.after(async () => connection.destroy())
    return connection
  }

  /** Sends one request on a connection of its own. */
  async ask(request: RawRequest): Promise<RawFrame> {
    const connection = await connectRaw(this.running.port)
    try {
      return await connection.call(request)
    } finally {
      connection.destroy()
    }
  }

  /** Asserts that the server does not answer these bytes and keeps the connection open. */
  async isSilent(connection: RawConnection, bytes: Uint8Array): Promise<void> {
    const seen = connection.frames.length
    connection.write(bytes)
    await delay(SILENCE_MS)
    await connection.call({ code: 106 })
    assert.equal(connection.frames.length, seen + 1, 'one answer, and it is to the second request')
  }
}

/** Starts a name server for the enclosing `describe`. */
export function serverFor(kind: NameServerKind, properties: Properties = {}): ServerUnderTest {
  const server = new ServerUnderTest(kind)
  const closes: (() => Promise<void>)[] = []
  before(async () => server.use(await kind.start({ after: close => void closes.push(close) }, properties)))
  after(async () => {
    for (const close of closes.toReversed()) await close()
  })
  return server
}

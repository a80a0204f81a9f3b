import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import type { Owner } from '../launch/launched.ts'
import type { Properties } from '../launch/launcher.ts'
import { connectRaw, type RawConnection } from '../wire/raw-connection.ts'
import type { RawFrame, RawRequest } from '../wire/raw-frame.ts'
import type { Line, RunningNameServer, Subject } from '../launch/subjects.ts'

const EVENTUALLY_MS = 10_000
const POLL_MS = 50
/** How long silence must last to count as silence. */
const SILENCE_MS = 250

let lastNumber = 0

/** Where the cases of one area run: a name server that they share, and names that no other case has. */
export class Stage {
  readonly subject: Subject
  #server: RunningNameServer | undefined

  constructor(subject: Subject) {
    this.subject = subject
  }

  use(server: RunningNameServer): void {
    this.#server = server
  }

  get server(): RunningNameServer {
    assert.ok(this.#server, 'the name server did not start')
    return this.#server
  }

  get line(): Line {
    return this.subject.line
  }

  /** What is expected here. Ours answers as 5.x unless said otherwise. */
  by<T>(answers: { readonly '4.9': T; readonly '5.x': T; readonly ours?: T }): T {
    if (this.line === 'ours') return 'ours' in answers ? answers.ours : answers['5.x']
    return answers[this.line]
  }

  /** A connection that is closed when the case is over. */
  async connect(t: Owner): Promise<RawConnection> {
    const connection = await connectRaw(this.server.port)
    t.after(async () => connection.destroy())
    return connection
  }

  /** Asks one question on a connection of its own. */
  async ask(request: RawRequest): Promise<RawFrame> {
    const connection = await connectRaw(this.server.port)
    try {
      return await connection.call(request)
    } finally {
      connection.destroy()
    }
  }

  /** Asserts that a request is not answered, and that the connection goes on. */
  async isSilent(connection: RawConnection, bytes: Uint8Array): Promise<void> {
    const seen = connection.frames.length
    connection.write(bytes)
    await delay(SILENCE_MS)
    await connection.call({ code: 106 })
    assert.equal(connection.frames.length, seen + 1, 'one answer, to the second request')
  }
}

/** Declares a stage whose name server lives as long as the enclosing `describe`. */
export function stageFor(subject: Subject, properties: Properties = {}): Stage {
  const stage = new Stage(subject)
  const closes: (() => Promise<void>)[] = []
  before(async () => stage.use(await subject.start({ after: close => void closes.push(close) }, properties)))
  after(async () => {
    for (const close of closes.toReversed()) await close()
  })
  return stage
}

/** A number that no other case of this process has. */
export const nextNumber = () => ++lastNumber

/** A name that no other case of this process has. */
export const unique = (word: string) => `${word}-${nextNumber()}`

/** An address that no other broker has. */
export function uniqueAddress(): string {
  const number = nextNumber()
  return `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}:10911`
}

/** Repeats an assertion until it holds: name servers do part of their work after they have answered. */
export async function eventually(check: () => Promise<unknown>, ms = EVENTUALLY_MS): Promise<void> {
  const end = Date.now() + ms
  for (;;) {
    try {
      await check()
      return
    } catch (error) {
      if (Date.now() > end) throw error
    }
    await delay(POLL_MS)
  }
}

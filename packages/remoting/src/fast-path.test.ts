import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { connectionPair, WIPE, wiped } from '../test/connection-pair.ts'
import { BufferPool } from './buffer-pool.ts'
import { type Command, ONEWAY_FLAG, REPLY_FLAG } from './command.ts'
import { type FastConnection, type FastPath, LATER, NOT_TAKEN } from './fast-path.ts'
import { encodeFrame, writeFrame } from './frame.ts'
import type { HeaderView } from './header-view.ts'
import { Outbox } from './outbox.ts'
import { request } from './request.ts'

const SEND = request({ code: 310, purpose: 'for tests' })

const plain: Command = {
  code: SEND.code,
  language: 'JAVA',
  version: 513,
  opaque: 1,
  flag: 0,
  remark: null,
  extFields: null,
  body: null,
  serializeType: 'JSON',
}

function frameOf(given: Partial<Command>): Buffer {
  return encodeFrame({ ...plain, ...given }, new Outbox())
}

function writeReply(out: Outbox, opaque: number): void {
  writeFrame({ ...plain, code: 0, opaque, flag: REPLY_FLAG }, out)
}

/** Takes sends and answers them when a test commits, as a broker does at the end of a turn of the event loop. */
class Commits implements FastPath {
  readonly takesOneway: boolean
  readonly #connections: FastConnection[] = []
  readonly #opaques: number[] = []
  readonly #flags: number[] = []
  readonly #since: number[] = []

  constructor({ takesOneway = false } = {}) {
    this.takesOneway = takesOneway
  }

  get waiting(): number {
    return this.#connections.length
  }

  take(view: HeaderView, connection: FastConnection): number {
    if (view.code !== SEND.code) return NOT_TAKEN
    this.#connections.push(connection)
    this.#opaques.push(view.opaque)
    this.#flags.push(view.flag)
    this.#since.push(connection.readAt)
    return LATER
  }

  commit(): void {
    const now = performance.now()
    const touched: FastConnection[] = []
    for (const [i, connection] of this.#connections.entries()) {
      if (connection.outbox.isEmpty) touched.push(connection)
      if (this.#flags[i] !== ONEWAY_FLAG) writeReply(connection.outbox, this.#opaques[i] as number)
      connection.answered(SEND.code, 0, now - (this.#since[i] as number))
    }
    for (const list of [this.#connections, this.#opaques, this.#flags, this.#since]) list.length = 0
    for (const connection of touched) connection.flush()
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await turn()
}

const never = { timeoutMs: Number.POSITIVE_INFINITY }

test('each connection sends replies that are due at the same time in one write', async t => {
  const commits = new Commits()
  const pairs = [1, 2].map(() => connectionPair(t, { fastPath: commits }))
  const writes: string[] = []
  const answers = pairs.flatMap(({ client, far }, i) => {
    far.on('data', () => writes.push(`to ${i}`))
    return Array.from({ length: 5 }, () => client.call(SEND, {}, never))
  })
  await settle()
  assert.equal(commits.waiting, 10)
  commits.commit()
  await Promise.all(answers)
  assert.deepEqual(writes, ['to 0', 'to 1'])
})

test('requests that are answered later count towards maxAnswering: reading pauses and resumes', async t => {
  const commits = new Commits()
  const { client, server } = connectionPair(t, { fastPath: commits, limits: { maxAnswering: 3 } })
  const answers: Promise<unknown>[] = []
  for (let i = 0; i < 10; i++) {
    answers.push(client.call(SEND, {}, never))
    await settle()
  }
  assert.deepEqual([commits.waiting, server.inFlight], [3, 3])
  while (commits.waiting > 0) {
    commits.commit()
    await settle()
  }
  await Promise.all(answers)
  assert.equal(server.inFlight, 0)
})

test('a closing connection waits for the late answers of a fast path', async t => {
  const commits = new Commits()
  const { client, server, clock, reasons } = connectionPair(t, { fastPath: commits })
  const answer = client.call(SEND, {}, never)
  await settle()
  const closing = server.close({ drainMs: 5000 })
  await settle()
  clock.advance(4000)
  await settle()
  assert.deepEqual(reasons, [])
  commits.commit()
  assert.equal((await answer).code, 0)
  await closing
})

test('late answers are timed from the read of their requests', async t => {
  const commits = new Commits()
  const answered: number[][] = []
  const { client } = connectionPair(t, {
    fastPath: commits,
    onAnswered: (...reported) => void answered.push(reported),
  })
  const before = performance.now()
  const answer = client.call(SEND, {}, never)
  await settle()
  assert.deepEqual(answered, [])
  commits.commit()
  await answer
  const after = performance.now()
  const [, , ms = 0] = answered[0] ?? []
  assert.deepEqual(answered, [[SEND.code, 0, ms, 1]])
  assert.ok(ms > 0 && ms <= after - before, `${ms} ms`)
})

test('late answers to a connection that has ended are dropped, but counted', async t => {
  const commits = new Commits()
  const traffic = { bytesIn: 0, bytesOut: 0 }
  const answered: number[] = []
  const { client, server } = connectionPair(t, {
    fastPath: commits,
    traffic,
    onAnswered: code => void answered.push(code),
  })
  const other = connectionPair(t, { fastPath: commits })
  const failed = [1, 2].map(() => assert.rejects(client.call(SEND, {}, never), { code: 'CLOSED' }))
  const answer = other.client.call(SEND, {}, never)
  await settle()
  server.destroy()
  await Promise.all(failed)
  assert.equal(server.inFlight, 2)
  commits.commit()
  assert.equal((await answer).code, 0)
  assert.deepEqual([server.inFlight, server.outbox.isEmpty, traffic.bytesOut], [0, true, 0])
  assert.deepEqual(answered, [SEND.code, SEND.code])
})

test('a request may be answered before take returns LATER for it', async t => {
  const { client, server } = connectionPair(t, {
    fastPath: {
      take(view, connection) {
        writeReply(connection.outbox, view.opaque)
        connection.answered(view.code, 0, 0)
        connection.flush()
        return LATER
      },
    },
  })
  assert.equal((await client.call(SEND)).code, 0)
  assert.equal(server.inFlight, 0)
})

test('immediate answers are reported together as long as request and response code are the same', async t => {
  const reported: (readonly [number, number, number])[] = []
  let total = 0
  const { far } = connectionPair(t, {
    fastPath: {
      take(view, { outbox }) {
        if (view.code === WIPE.code) return NOT_TAKEN
        writeReply(outbox, view.opaque)
        return view.opaque
      },
    },
    onRequest: () => wiped(1),
    onAnswered: (code, response, ms, count) => {
      assert.ok(ms >= 0)
      total += ms * count
      reported.push([code, response, count])
    },
  })
  const [send, pull, wipe] = [SEND.code, 11, WIPE.code]
  const requests = [
    { code: send, opaque: 0 },
    { code: send, opaque: 0 },
    { code: pull, opaque: 0 },
    { code: pull, opaque: 19 },
    { code: pull, opaque: 19 },
    { code: wipe, opaque: 0 },
    { code: pull, opaque: 19 },
  ]
  const before = performance.now()
  far.write(Buffer.concat(requests.map(frameOf)))
  await settle()
  assert.ok(total <= performance.now() - before, `${total} ms in all`)
  assert.deepEqual(reported, [
    [send, 0, 2],
    [pull, 0, 1],
    [pull, 19, 2],
    [wipe, 0, 1],
    [pull, 19, 1],
  ])
})

test('a request that is not taken reaches the router unchanged, and its reply stays in order', async t => {
  const offered: number[] = []
  const routed: Command[] = []
  const { far } = connectionPair(t, {
    fastPath: {
      take(view, { outbox }) {
        offered.push(view.code)
        if (view.code !== SEND.code) return NOT_TAKEN
        writeReply(outbox, view.opaque)
        return 0
      },
    },
    onRequest: command => {
      routed.push(command)
      return { code: 0 }
    },
  })
  const replies: Buffer[] = []
  far.on('data', (chunk: Buffer) => replies.push(chunk))
  const left = { code: 10, opaque: 2, extFields: new Map([['topic', 'T']]), body: Buffer.from('body'), remark: 'r' }
  far.write(Buffer.concat([frameOf({ opaque: 1 }), frameOf(left), frameOf({ opaque: 3 })]))
  await settle()
  assert.deepEqual(offered, [SEND.code, 10, SEND.code])
  assert.deepEqual(routed, [{ ...plain, ...left }])
  const opaques = [
    ...Buffer.concat(replies)
      .toString('latin1')
      .matchAll(/"opaque":(\d)/g),
  ].map(([, opaque]) => opaque)
  assert.deepEqual(opaques, ['1', '2', '3'])
})

test('one-way requests are offered only to a fast path that takes them, and replies to no fast path', async t => {
  for (const takesOneway of [false, true]) {
    const commits = new Commits({ takesOneway })
    const routed: number[] = []
    const { far, server } = connectionPair(t, {
      fastPath: commits,
      onRequest: command => {
        routed.push(command.flag)
        return { code: 0 }
      },
    })
    let bytes = 0
    far.on('data', (chunk: Buffer) => (bytes += chunk.length))
    far.write(Buffer.concat([ONEWAY_FLAG, REPLY_FLAG, REPLY_FLAG | ONEWAY_FLAG].map(flag => frameOf({ flag }))))
    await settle()
    assert.deepEqual([commits.waiting, routed], takesOneway ? [1, []] : [0, [ONEWAY_FLAG]])
    assert.equal(server.inFlight, commits.waiting)
    commits.commit()
    await settle()
    assert.deepEqual([server.inFlight, bytes], [0, 0])
  }
})

test('an error in a fast path closes the connection of its request without an answer, and no other connection', async t => {
  const errors: (readonly [object, string])[] = []
  const note = (): void => {}
  const fastPath: FastPath = {
    take(view, { outbox }) {
      if (view.code !== SEND.code) return NOT_TAKEN
      outbox.reserve(100)
      outbox.position += 7
      throw new Error('a queue that is not there')
    },
  }
  const log = { debug: note, info: note, warn: note, error: (...line: [object, string]) => void errors.push(line) }
  const broken = connectionPair(t, { fastPath, log })
  const healthy = connectionPair(t, { fastPath, onRequest: () => wiped(1) })
  let bytes = 0
  broken.far.on('data', (chunk: Buffer) => (bytes += chunk.length))
  const failed = assert.rejects(broken.client.call(SEND), { code: 'CLOSED' })
  assert.equal((await healthy.client.call(WIPE, { header: { brokerName: 'a' } })).code, 0)
  await failed
  assert.deepEqual([broken.reasons, broken.server.inFlight, bytes], [['error'], 0, 0])
  assert.match(errors[0]?.[1] ?? '', /fast path failed/)
})

test('the memory of a large frame is reused as soon as its request is taken', async t => {
  const commits = new Commits()
  const pool = new BufferPool()
  const { far } = connectionPair(t, { fastPath: commits, pool })
  const frame = frameOf({ body: Buffer.alloc(300_000) })
  for (let i = 0; i < 3; i++) {
    for (const piece of [frame.subarray(0, 1000), frame.subarray(1000)]) {
      far.write(piece)
      await settle()
    }
    assert.equal(commits.waiting, i + 1)
    assert.ok(pool.size >= 300_000 && pool.size < 600_000, `${pool.size} bytes`)
  }
  commits.commit()
})

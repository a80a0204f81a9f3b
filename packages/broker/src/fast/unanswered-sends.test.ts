import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  ANNOUNCED_VERSION,
  encodeFrame,
  type FastConnection,
  Outbox,
  REPLY_FLAG,
  type SerializeType,
} from '@gantrymq/remoting'
import { StoreError } from '@gantrymq/store'
import { MessageCounts } from '../statistics/message-counts.ts'
import { lostBy } from '../sending/send-reply.ts'
import { UnansweredSends } from './unanswered-sends.ts'

const FLUSH_DISK_TIMEOUT = 10

function replyOf(
  opaque: number,
  code = 0,
  remark: string | null = null,
  serializeType: SerializeType = 'JSON',
): Buffer {
  const extFields = remark === null ? new Map([['msgId', 'id']]) : null
  return encodeFrame(
    {
      code,
      language: 'JAVA',
      version: ANNOUNCED_VERSION,
      opaque,
      flag: REPLY_FLAG,
      remark,
      extFields,
      body: null,
      serializeType,
    },
    new Outbox(),
  )
}

/** A connection that keeps what is flushed, one entry for each write. */
function connection() {
  const outbox = new Outbox()
  const writes: string[] = []
  const answered: (readonly [number, number])[] = []
  const fake: Partial<FastConnection> = {
    outbox,
    readAt: 0,
    answered: (request, response) => void answered.push([request, response]),
    flush: () => {
      const chunks = outbox.take()
      if (chunks.length > 0) writes.push(Buffer.concat(chunks).toString('latin1'))
    },
  }
  return { writes, answered, connection: fake as FastConnection }
}

function stage({ timeoutMs }: { timeoutMs?: number } = {}) {
  const counts = new MessageCounts()
  const log = { safe: 0 }
  const sends = new UnansweredSends({ safe: () => log.safe, counts, timeoutMs: () => timeoutMs })
  const add = (to: FastConnection, end: number, reply: Buffer, since = 0): void => {
    sends.reserve(reply.length)
    reply.copy(sends.replies, sends.repliesEnd)
    const opaque = 100 + end
    const send = { connection: to, requestCode: 310, opaque, end, size: 5, topic: 'Orders', since }
    sends.add(send, sends.repliesEnd + reply.length)
  }
  const commit = (safe: number): void => {
    log.safe = safe
    sends.committed()
  }
  return { counts, sends, add, commit }
}

const text = (...replies: Buffer[]): string => Buffer.concat(replies).toString('latin1')

test('a reply leaves when its message is safe, and not before', () => {
  const { add, commit, counts, sends } = stage()
  const one = connection()
  add(one.connection, 10, replyOf(1))
  add(one.connection, 20, replyOf(2))
  commit(9)
  assert.deepEqual([one.writes, counts.put.messages], [[], 0])
  commit(10)
  assert.deepEqual(one.writes, [text(replyOf(1))])
  commit(20)
  assert.deepEqual(one.writes, [text(replyOf(1)), text(replyOf(2))])
  assert.deepEqual(one.answered, [[310, 0], [310, 0]]) // biome-ignore format: pairs
  assert.deepEqual([counts.put.messages, counts.put.bytes, sends.count], [2, 10, 0])
  assert.deepEqual([...counts.putByTopic.keys()], ['Orders'])
})

test('each connection gets the replies of one commit in one write', () => {
  const { add, commit } = stage()
  const one = connection()
  const other = connection()
  for (let n = 0; n < 6; n++) add((n % 2 === 0 ? one : other).connection, n, replyOf(n))
  commit(6)
  assert.deepEqual(one.writes, [text(replyOf(0), replyOf(2), replyOf(4))])
  assert.deepEqual(other.writes, [text(replyOf(1), replyOf(3), replyOf(5))])
})

test('a one-way send is counted, and not answered', () => {
  const { add, commit, counts } = stage()
  const one = connection()
  add(one.connection, 1, Buffer.alloc(0))
  add(one.connection, 2, replyOf(2))
  add(one.connection, 3, Buffer.alloc(0))
  commit(3)
  assert.deepEqual(one.writes, [text(replyOf(2))])
  assert.deepEqual([one.answered.length, counts.put.messages], [3, 3])
})

test('sends whose flush takes too long are answered with FLUSH_DISK_TIMEOUT, once', () => {
  const { add, commit, counts, sends } = stage({ timeoutMs: 5000 })
  const one = connection()
  add(one.connection, 1, replyOf(1), 0)
  add(one.connection, 2, replyOf(2, 0, null, 'ROCKETMQ'), 0)
  add(one.connection, 3, Buffer.alloc(0), 0)
  add(one.connection, 4, replyOf(4), 1)
  sends.tick(4999)
  assert.deepEqual(one.writes, [])
  sends.tick(5000)
  assert.deepEqual(one.writes, [text(replyOf(1, FLUSH_DISK_TIMEOUT), replyOf(2, FLUSH_DISK_TIMEOUT, null, 'ROCKETMQ'))])
  commit(4)
  assert.deepEqual(one.writes[1], text(replyOf(4)))
  assert.deepEqual(one.answered.map(([, code]) => code), [10, 10, 10, 0]) // biome-ignore format: short
  assert.equal(counts.put.messages, 4)
})

test('without SYNC_FLUSH a send waits as long as it takes', () => {
  const { add, sends } = stage()
  add(connection().connection, 1, replyOf(1))
  sends.tick(1e9)
  assert.equal(sends.count, 1)
})

test('sends whose messages are lost are refused, those before them are not', () => {
  const { add, commit, sends, counts } = stage()
  const one = connection()
  const error = new StoreError('DISK_FULL', 'no space is left')
  add(one.connection, 10, replyOf(1))
  add(one.connection, 20, replyOf(2))
  add(one.connection, 30, Buffer.alloc(0))
  add(one.connection, 40, replyOf(4, 0, null, 'ROCKETMQ'))
  sends.lost(10, error)
  const { code, remark } = lostBy(error)
  assert.deepEqual(one.writes, [text(replyOf(140, code, remark, 'ROCKETMQ'), replyOf(120, code, remark))])
  assert.deepEqual(one.answered, [[310, code], [310, code], [310, code]]) // biome-ignore format: pairs
  assert.deepEqual([sends.count, counts.put.messages], [1, 0])
  // Later messages take the positions of the lost ones.
  add(one.connection, 20, replyOf(5))
  commit(20)
  assert.deepEqual(one.writes[1], text(replyOf(1), replyOf(5)))
})

test('replies keep their order and their bytes, however many wait', () => {
  const { add, commit, sends } = stage()
  const one = connection()
  let appended = 0
  const expected: Buffer[] = []
  const append = (): void => {
    const reply = replyOf(appended)
    expected.push(reply)
    add(one.connection, ++appended, reply)
  }
  // A flush is behind by more and more, then by less and less, and never catches up.
  for (let n = 0; n < 700; n++) append()
  for (let safe = 1; safe < 2000; safe++) {
    if (safe < 1300) append()
    if (safe % 3 === 0) append()
    commit(Math.min(safe, appended - 1))
  }
  commit(appended)
  assert.equal(one.writes.join(''), text(...expected))
  assert.equal(sends.count, 0)
})

test('the memory of a flood is given back, and the replies behind it keep their order', () => {
  const { add, commit, sends } = stage()
  const one = connection()
  let appended = 0
  const expected: Buffer[] = []
  const pass = (count: number): void => {
    for (let n = 0; n < count; n++) {
      const reply = replyOf(appended)
      expected.push(reply)
      add(one.connection, ++appended, reply)
    }
    // In two parts, so that the ring does not begin at its first slot.
    commit(appended - 1)
    commit(appended)
  }
  pass(20_000)
  assert.equal(sends.capacity, 32_768)
  for (let quiet = 0; quiet < 10; quiet++) pass(300)
  assert.equal(sends.capacity, 4096)
  assert.equal(one.writes.join(''), text(...expected))
})

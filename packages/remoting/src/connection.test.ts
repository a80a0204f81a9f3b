import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { connectionPair, WIPE, wiped } from '../test/connection-pair.ts'
import { RemotingError, ResponseError } from './errors.ts'
import { encodeFrame } from './frame.ts'
import { Outbox } from './outbox.ts'
import { type Peer, request } from './request.ts'

test('a call gets the reply to its own request, whatever the order of replies', async t => {
  const waiting: (() => void)[] = []
  const { client } = connectionPair(t, {
    onRequest: command => {
      const name = command.extFields?.get('brokerName') as string
      return new Promise(resolve => waiting.unshift(() => resolve(wiped(name.length))))
    },
  })
  const names = ['a', 'bbb', 'cccccc']
  const replies = names.map(brokerName => client.call(WIPE, { header: { brokerName } }))
  while (waiting.length < 3) await turn()
  for (const answer of waiting) answer()
  assert.deepEqual(
    (await Promise.all(replies)).map(reply => reply.header.wipeTopicCount),
    [1, 3, 6],
  )
})

test('an answer other than success is thrown with its code and remark', async t => {
  const { client } = connectionPair(t, { onRequest: () => ({ code: 17, remark: 'no route' }) })
  await assert.rejects(client.call(WIPE, { header: { brokerName: 'a' } }), (error: unknown) => {
    assert.ok(error instanceof ResponseError)
    assert.equal(error.responseCode, 17)
    assert.equal(error.remark, 'no route')
    return true
  })
})

test('a reply code that the declaration names is an answer, any other code is an error', async t => {
  const PULL = request({ ...WIPE, code: 11, reply: { ...WIPE.reply, codes: [19, 20] } })
  let code = 19
  const { client } = connectionPair(t, { onRequest: () => ({ ...wiped(4), code, remark: 'nothing there' }) })
  const { header, ...reply } = await client.call(PULL, { header: { brokerName: 'a' } })
  assert.deepEqual([reply.code, reply.remark, header.wipeTopicCount], [19, 'nothing there', 4])
  code = 21
  await assert.rejects(client.call(PULL, { header: { brokerName: 'a' } }), { responseCode: 21 })
})

test('a call sends its remark with the request', async t => {
  const remarks: (string | null)[] = []
  const { client } = connectionPair(t, {
    onRequest: command => {
      remarks.push(command.remark)
      return wiped(1)
    },
  })
  await client.call(WIPE, { header: { brokerName: 'a' }, remark: 'as the operator wished' })
  await client.call(WIPE, { header: { brokerName: 'a' } })
  assert.deepEqual(remarks, ['as the operator wished', null])
})

test('a connection without a handler answers with code 3', async t => {
  const { client } = connectionPair(t)
  await assert.rejects(client.call(WIPE, { header: { brokerName: 'a' } }), { responseCode: 3 })
})

test('a reply after its deadline is dropped and the connection stays open', async t => {
  let release = () => {}
  const { client, clock } = connectionPair(t, {
    onRequest: () => new Promise(resolve => (release = () => resolve(wiped(1)))),
  })
  const late = client.call(WIPE, { header: { brokerName: 'a' } }, { timeoutMs: 1000 })
  await turn()
  clock.advance(999)
  clock.advance(60)
  await assert.rejects(late, (error: unknown) => error instanceof RemotingError && error.code === 'TIMEOUT')
  release()
  await turn()
  const next = client.call(WIPE, { header: { brokerName: 'b' } })
  await turn()
  release()
  assert.equal((await next).header.wipeTopicCount, 1)
  assert.equal(clock.timers, 0, 'no timer runs while no call waits')
})

test('an aborted call ends at once and removes its listener', async t => {
  const { client } = connectionPair(t, { onRequest: () => new Promise(() => {}) })
  const stop = new AbortController()
  const call = client.call(WIPE, { header: { brokerName: 'a' } }, { signal: stop.signal })
  stop.abort()
  await assert.rejects(call, { code: 'ABORTED' })
  assert.equal(client.inFlight, 0)
  await assert.rejects(client.call(WIPE, { header: { brokerName: 'a' } }, { signal: stop.signal }), { code: 'ABORTED' })
})

test('a one-way request is handled and never answered, not even with an error', async t => {
  const seen: number[] = []
  const { client, far } = connectionPair(t, {
    onRequest: command => {
      seen.push(command.code)
      return { code: 1, remark: 'failed' }
    },
  })
  let bytes = 0
  far.on('data', (chunk: Buffer) => (bytes += chunk.length))
  client.oneway(WIPE, { header: { brokerName: 'a' } })
  await turn()
  await turn()
  assert.deepEqual(seen, [205])
  assert.equal(bytes, 0)
})

test('replies to the requests of one read go out in one write', async t => {
  // On a slow machine the read would take several turns.
  t.mock.method(performance, 'now', () => 1000)
  const { far } = connectionPair(t, { onRequest: () => wiped(1) })
  const frames = Array.from({ length: 10 }, (_, opaque) =>
    encodeFrame(
      {
        code: 205,
        language: 'JAVA',
        version: 409,
        opaque,
        flag: 0,
        remark: null,
        extFields: new Map([['brokerName', 'a']]),
        body: null,
        serializeType: 'JSON',
      },
      new Outbox(),
    ),
  )
  const chunks: Buffer[] = []
  far.on('data', (chunk: Buffer) => chunks.push(chunk))
  far.write(Buffer.concat(frames))
  await turn()
  await turn()
  assert.equal(chunks.length, 1)
  assert.equal(chunks[0]?.toString('latin1').split('"code":0').length, 11)
})

test('garbage closes the connection without an answer and fails the calls on it', async t => {
  const { server, far, reasons } = connectionPair(t)
  const call = server.call(WIPE, { header: { brokerName: 'a' } })
  far.write(Buffer.from('GARBAGE!'))
  await assert.rejects(call, { code: 'CLOSED', retriable: true })
  assert.deepEqual(reasons, ['bad_frame'])
})

test('the connection of a peer that stalls within a frame is closed after the deadline', async t => {
  const { server, far, clock, reasons } = connectionPair(t)
  far.write(Buffer.from([0, 0, 1]))
  await turn()
  clock.advance(60_000)
  server.sweep(clock.now())
  assert.deepEqual(reasons, [])
  clock.advance(1)
  server.sweep(clock.now())
  assert.deepEqual(reasons, ['slow_frame'])
})

test('the connection of a peer that sends whole frames from time to time stays open', async t => {
  const { server, client, clock, reasons } = connectionPair(t, { onRequest: () => wiped(1) })
  for (let i = 0; i < 5; i++) {
    await client.call(WIPE, { header: { brokerName: 'a' } })
    clock.advance(50_000)
    server.sweep(clock.now())
  }
  assert.deepEqual(reasons, [])
})

test('a connection stops reading from a slow reader and closes after the deadline', async t => {
  const body = Buffer.alloc(100_000)
  let served = 0
  const { server, near, far, clock, reasons } = connectionPair(t, {
    limits: { maxQueued: 200_000 },
    onRequest: () => {
      served++
      return { code: 0, body }
    },
  })
  far.removeAllListeners('data')
  far.pause()
  const frame = encodeFrame(
    {
      code: 205,
      language: 'JAVA',
      version: 409,
      opaque: 1,
      flag: 0,
      remark: null,
      extFields: null,
      body: null,
      serializeType: 'JSON',
    },
    new Outbox(),
  )
  for (let i = 0; i < 50; i++) {
    far.write(frame)
    await turn()
  }
  assert.ok(served < 10, `${served} requests were served to a peer that reads nothing`)
  assert.ok(near.writableLength < 400_000)
  clock.advance(30_001)
  server.sweep(clock.now())
  assert.deepEqual(reasons, ['slow_reader'])
})

test('a connection that queues more bytes than the hard limit closes at once', async t => {
  const { client, far, reasons } = connectionPair(t, {
    limits: { maxQueued: 1000, maxQueuedHard: 50_000 },
    onRequest: () => ({ code: 0, body: Buffer.alloc(100_000) }),
  })
  far.pause()
  const call = client.call(WIPE, { header: { brokerName: 'a' } })
  await assert.rejects(call, { code: 'CLOSED' })
  assert.deepEqual(reasons, ['slow_reader'])
})

test('a connection reads no more requests than it may answer at a time', async t => {
  const waiting: (() => void)[] = []
  const { client } = connectionPair(t, {
    limits: { maxAnswering: 3 },
    onRequest: () => new Promise(resolve => waiting.push(() => resolve(wiped(1)))),
  })
  const calls: Promise<unknown>[] = []
  for (let i = 0; i < 10; i++) {
    calls.push(client.call(WIPE, { header: { brokerName: 'a' } }))
    await turn()
    await turn()
  }
  assert.equal(waiting.length, 3)
  while (waiting.length > 0) {
    waiting.shift()?.()
    await turn()
    await turn()
  }
  await Promise.all(calls)
})

test('calls beyond maxPending are refused', async t => {
  const { client } = connectionPair(t, { onRequest: () => new Promise(() => {}) }, { limits: { maxPending: 2 } })
  const calls = [1, 2].map(() => client.call(WIPE, { header: { brokerName: 'a' } }))
  await assert.rejects(client.call(WIPE, { header: { brokerName: 'a' } }), { code: 'TOO_MANY_IN_FLIGHT' })
  client.destroy()
  for (const call of calls) await assert.rejects(call, { code: 'CLOSED' })
})

test('closing lets requests in flight finish, and is idempotent', async t => {
  let release = () => {}
  const { server, client, reasons } = connectionPair(t, {
    onRequest: () => new Promise(resolve => (release = () => resolve(wiped(5)))),
  })
  const call = client.call(WIPE, { header: { brokerName: 'a' } })
  await turn()
  const closing = server.close({ drainMs: 5000 })
  assert.equal(server.close(), closing)
  await turn()
  release()
  assert.equal((await call).header.wipeTopicCount, 5)
  await closing
  assert.deepEqual(reasons, ['closed'])
})

test('closing waits no longer than drainMs', async t => {
  const { server, client, clock, reasons } = connectionPair(t, { onRequest: () => new Promise(() => {}) })
  const call = client.call(WIPE, { header: { brokerName: 'a' } }, { timeoutMs: 60_000 })
  await turn()
  const closing = server.close({ drainMs: 5000 })
  await turn()
  clock.advance(5000)
  await closing
  await assert.rejects(call, { code: 'CLOSED' })
  assert.equal(reasons.length, 1)
})

test('when the peer closes the connection, the calls on it fail and say so', async t => {
  const { server, client } = connectionPair(t, { onRequest: () => new Promise(() => {}) })
  const call = client.call(WIPE, { header: { brokerName: 'a' } })
  await turn()
  server.destroy()
  await assert.rejects(call, /the connection to server:1 ended before the reply/)
  assert.equal(client.isOpen, false)
  await assert.rejects(client.call(WIPE, { header: { brokerName: 'a' } }), { code: 'CLOSED' })
})

test('a handler may keep the peer of a request and call it, until the connection closes', async t => {
  let peer: Peer | undefined
  const { client } = connectionPair(
    t,
    {
      onRequest: (_, sender) => {
        peer = sender
        return wiped(1)
      },
    },
    { onRequest: command => wiped(Number(command.extFields?.get('brokerName'))) },
  )
  await client.call(WIPE, { header: { brokerName: 'a' } })
  assert.equal(peer?.isOpen, true)
  assert.equal((await peer?.call(WIPE, { header: { brokerName: '7' } }))?.header.wipeTopicCount, 7)
  peer?.destroy('idle')
  assert.equal(peer?.isOpen, false)
  await assert.rejects(async () => peer?.call(WIPE, { header: { brokerName: '7' } }), { code: 'CLOSED' })
  assert.throws(() => peer?.oneway(WIPE, { header: { brokerName: '7' } }), { code: 'CLOSED' })
})

test('onSend adds fields to own requests', async t => {
  const { client } = connectionPair(
    t,
    { onRequest: command => wiped(Number(command.extFields?.get('extra'))) },
    { onSend: fields => void fields.set('extra', '7') },
  )
  assert.equal((await client.call(WIPE, { header: { brokerName: 'a' } })).header.wipeTopicCount, 7)
})

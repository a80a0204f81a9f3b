import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import type { Command, ReplyParts } from './command.ts'
import { Connection } from './connection.ts'
import { dialTcp } from './dial.ts'
import type { FastPath } from './fast-path.ts'
import { header, int, text } from './fields.ts'
import { encodeFrame } from './frame.ts'
import { Outbox } from './outbox.ts'
import { request } from './request.ts'
import { RemotingServer, type RemotingServerOptions } from './server.ts'
import { ManualClock } from './testing/manual-clock.ts'
import { memorySockets } from './testing/memory-sockets.ts'

const WORK = request({
  code: 1,
  purpose: 'takes 1 ms',
  header: header({ name: text(), number: int() }),
})

/** The frames with the numbers 0 to `count` - 1 in one piece. */
function frames(name: string, count: number): Buffer {
  const one = (number: number): Buffer => {
    const extFields = WORK.header.encode({ name, number })
    const command = { code: 1, language: 'JAVA', version: 409, opaque: number, flag: 0, remark: null } as const
    return encodeFrame({ ...command, extFields, body: null, serializeType: 'JSON' }, new Outbox())
  }
  return Buffer.concat(Array.from({ length: count }, (_, number) => one(number)))
}

/** Lets time pass only when a test says so. */
function timeOf(t: TestContext) {
  let time = 1000
  t.mock.method(performance, 'now', () => time)
  return { pass: (ms = 1) => void (time += ms) }
}

/** A server on which each request takes 1 ms. */
function serving(t: TestContext, given: Partial<RemotingServerOptions> = {}, time = timeOf(t)) {
  const clock = new ManualClock()
  const seen: string[] = []
  const server = new RemotingServer({
    clock,
    onRequest: ({ extFields }) => {
      time.pass()
      seen.push(`${extFields?.get('name')}${extFields?.get('number')}`)
      return { code: 0 }
    },
    ...given,
  })
  t.after(async () => {
    const closing = server.close()
    for (let i = 0; i < 10; i++) await turn()
    clock.advance(60_000)
    await closing
  })
  const dial = () => {
    const [near, far] = memorySockets()
    server.accept(near, '10.0.0.1:1')
    return far.on('error', () => {}).resume()
  }
  return { clock, server, seen, dial }
}

async function until(isTrue: () => boolean): Promise<void> {
  for (let turns = 0; turns < 1000 && !isTrue(); turns++) await turn()
}

test('the frames of one read let other connections pass after 1 ms, and keep their order', async t => {
  const { seen, dial } = serving(t)
  const [busy, other] = [dial(), dial()]
  busy.write(frames('busy', 20))
  other.write(frames('other', 1))
  await until(() => seen.length === 21)
  assert.ok(seen.indexOf('other0') <= 4, `after ${seen.indexOf('other0')} frames`)
  assert.deepEqual(
    seen.filter(name => name !== 'other0'),
    Array.from({ length: 20 }, (_, i) => `busy${i}`),
  )
})

test('connections with many frames take turns, and no one starves', async t => {
  const { seen, dial } = serving(t)
  for (const name of ['a', 'b', 'c']) dial().write(frames(name, 30))
  await until(() => seen.length === 90)
  for (const name of ['a', 'b', 'c']) {
    const positions = seen.flatMap((frame, i) => (frame.startsWith(name) ? [i] : []))
    assert.equal(positions.length, 30)
    const longest = Math.max(...positions.slice(1).map((position, i) => position - (positions[i] as number)))
    assert.ok(longest <= 10, `${name} waited for ${longest} frames of the others`)
    assert.ok((positions.at(-1) as number) >= 75, 'the others did not have to wait for its last frame')
  }
})

test('connections that wait for their turn read a few frames each, not all that the time allows', async t => {
  const time = timeOf(t)
  const seen: string[] = []
  const onRequest = ({ extFields }: Command): ReplyParts => {
    time.pass(0.1)
    seen.push(extFields?.get('name') ?? '')
    return { code: 0 }
  }
  const { dial } = serving(t, { onRequest }, time)
  for (const name of ['a', 'b', 'c']) dial().write(frames(name, 100))
  await until(() => seen.length === 300)
  // The first turn belongs to the first reader; later ones have time for 20 frames.
  const runs =
    seen
      .slice(40, 240)
      .join('')
      .match(/a+|b+|c+/g) ?? []
  assert.ok(Math.max(...runs.map(run => run.length)) <= 6, runs.join(' '))
})

test('a read with one frame is handled at once, even if the time of the turn is used up', async t => {
  const { seen, dial } = serving(t)
  const [busy, ...others] = Array.from({ length: 10 }, dial)
  busy?.write(frames('busy', 40))
  await turn()
  const before = seen.length
  for (const [i, other] of others.entries()) other.write(frames(`other${i}-`, 1))
  await turn()
  await turn()
  const later = seen.slice(before)
  assert.equal(later.filter(name => name.startsWith('other')).length, 9, later.join())
  assert.ok(later.length < 20)
})

test('frames on the fast path are counted before the clock is asked', async t => {
  const time = timeOf(t)
  const taken: number[] = []
  const fastPath: FastPath = {
    take(view, connection) {
      time.pass()
      taken.push(view.opaque)
      connection.outbox.append(Buffer.from('x'))
      return 0
    },
  }
  const { dial } = serving(t, { fastPath }, time)
  const far = dial()
  far.write(frames('fast', 100))
  const perTurn: number[] = []
  for (let sum = 0, turns = 0; sum < 100 && turns < 1000; turns++) {
    await turn()
    if (taken.length > sum) perTurn.push(taken.length - sum)
    sum = taken.length
  }
  assert.deepEqual(
    taken,
    Array.from({ length: 100 }, (_, i) => i),
  )
  assert.ok(Math.max(...perTurn) <= 64, perTurn.join())
})

test('a server that closes answers the frames that it has read', async t => {
  const { server, seen, dial } = serving(t)
  dial().write(frames('busy', 30))
  await until(() => seen.length > 0)
  assert.ok(seen.length < 30)
  await server.close({ drainMs: 5000 })
  assert.equal(seen.length, 30)
})

test('a connection that has ended handles no more of its frames', async t => {
  const { server, seen, dial } = serving(t)
  dial().write(frames('busy', 30))
  await until(() => seen.length > 0)
  const { length } = seen
  for (const connection of server.connections) connection.destroy()
  for (let i = 0; i < 20; i++) await turn()
  assert.ok(seen.length - length <= 0, `${seen.length - length} more`)
})

test('a read stops at maxAnswering requests, and goes on in order as they are answered', async t => {
  const answers: ((reply: ReplyParts) => void)[] = []
  const seen: string[] = []
  const { dial } = serving(t, {
    limits: { maxAnswering: 3 },
    onRequest: ({ extFields }) => {
      seen.push(extFields?.get('number') ?? '')
      return new Promise(resolve => answers.push(resolve))
    },
  })
  const far = dial()
  far.write(frames('slow', 8))
  for (let i = 0; i < 20; i++) await turn()
  assert.deepEqual(seen, ['0', '1', '2'])
  answers.shift()?.({ code: 0 })
  for (let i = 0; i < 20; i++) await turn()
  assert.deepEqual(seen, ['0', '1', '2', '3'])
  while (answers.length > 0) {
    answers.shift()?.({ code: 0 })
    for (let i = 0; i < 5; i++) await turn()
  }
  assert.deepEqual(seen, ['0', '1', '2', '3', '4', '5', '6', '7'])
})

test('the rest of a read outlives the memory that connections share for reading', async t => {
  const listener = createServer({ noDelay: true })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  t.after(() => void listener.close())
  const { port } = listener.address() as AddressInfo
  const time = timeOf(t)
  const seen: string[] = []
  const connect = async (): Promise<Socket> => {
    const accepted = once(listener, 'connection') as Promise<[Socket]>
    const here = new Connection(await dialTcp(`127.0.0.1:${port}`, new AbortController().signal), {
      remoteAddress: 'server:1',
      onRequest: ({ extFields }) => {
        time.pass()
        seen.push(`${extFields?.get('name')}${extFields?.get('number')}`)
        return { code: 0 }
      },
    })
    t.after(() => here.destroy())
    const [near] = await accepted
    t.after(() => void near.destroy())
    return near.resume()
  }
  const [one, two] = [await connect(), await connect()]
  one.write(frames('first', 40))
  two.write(frames('second', 40))
  for (let i = 0; i < 5000 && seen.length < 80; i++) await turn()
  for (const name of ['first', 'second']) {
    assert.deepEqual(
      seen.filter(frame => frame.startsWith(name)),
      Array.from({ length: 40 }, (_, i) => `${name}${i}`),
    )
  }
})

test('peers that hang up all at once end in several turns, and a request that comes meanwhile does not wait for all of them', async t => {
  const time = timeOf(t)
  const seen: string[] = []
  const onRequest = (): ReplyParts => {
    seen.push('request')
    return { code: 0 }
  }
  const onClose = (): void => {
    time.pass()
    seen.push('end')
  }
  const { server, dial } = serving(t, { onRequest, onClose }, time)
  const peers = Array.from({ length: 50 }, dial)
  for (const [i, peer] of peers.entries()) peer.write(frames(`peer${i}-`, 1))
  const asking = dial()
  await until(() => seen.length === 50)
  seen.length = 0
  for (const peer of peers) peer.end()
  await until(() => seen.length > 0)
  asking.write(frames('asking', 1))
  await until(() => seen.length === 51)
  assert.ok(seen.indexOf('request') <= 10, `after ${seen.indexOf('request')} of 50 ends`)
  assert.equal(server.connections.size, 1)
})

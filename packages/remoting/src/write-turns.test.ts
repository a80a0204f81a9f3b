import assert from 'node:assert/strict'
import { Duplex } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Connection } from './connection.ts'
import { encodeFrame } from './frame.ts'
import { Outbox } from './outbox.ts'
import { WriteTurns } from './write-turns.ts'

/** Connections whose events are noted in one list: `read1` for a request to the second one, `write1` for a write of its. */
function connections(count: number) {
  const events: string[] = []
  const turns = new WriteTurns()
  const all = Array.from({ length: count }, (_, i) => {
    const stream = new Duplex({
      read() {},
      write(_chunk, _encoding, done) {
        events.push(`write${i}`)
        done()
      },
    })
    return new Connection(stream, {
      remoteAddress: `10.0.0.${i}:1`,
      writeTurns: turns,
      onRequest: () => {
        events.push(`read${i}`)
        return { code: 0 }
      },
    })
  })
  return { all, events }
}

function frame(opaque: number): Buffer {
  const rest = { language: 'JAVA', version: 409, flag: 0, remark: null, extFields: null, body: null } as const
  return encodeFrame({ code: 1, opaque, serializeType: 'JSON', ...rest }, new Outbox())
}

test('the replies to all reads of a turn are written at its end, one write for each connection', async () => {
  const { all, events } = connections(3)
  for (const opaque of [1, 2]) for (const connection of all) connection.feed(frame(opaque))
  assert.deepEqual(events, ['read0', 'read1', 'read2', 'read0', 'read1', 'read2'])
  await turn()
  assert.deepEqual(events.splice(0), [
    'read0',
    'read1',
    'read2',
    'read0',
    'read1',
    'read2',
    'write0',
    'write1',
    'write2',
  ])
  all[1]?.feed(frame(3))
  await turn()
  assert.deepEqual(events, ['read1', 'write1'])
})

test('the replies of many connections do not wait for the end of the turn', async () => {
  const { all, events } = connections(17)
  for (const connection of all) connection.feed(frame(1))
  const written = () => events.filter(event => event.startsWith('write')).length
  assert.equal(written(), 16)
  await turn()
  assert.equal(written(), 17)
})

test('a connection that closes writes the replies that wait, and only once', async () => {
  const { all, events } = connections(2)
  for (const connection of all) connection.feed(frame(1))
  await all[0]?.close()
  await turn()
  assert.deepEqual(events.toSorted(), ['read0', 'read1', 'write0', 'write1'])
  assert.equal(events.indexOf('write0'), 2, 'before the end of the turn')
})

test('nothing is written for a connection that has ended', async () => {
  const { all, events } = connections(2)
  for (const connection of all) connection.feed(frame(1))
  all[0]?.destroy()
  await turn()
  assert.deepEqual(events, ['read0', 'read1', 'write1'])
})

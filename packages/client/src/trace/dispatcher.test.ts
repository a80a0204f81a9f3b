import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { silent } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { TraceDispatcher } from './dispatcher.ts'
import { decodeEntries, type TraceEntry } from './entries.ts'

function entry(id: number, keys?: string): TraceEntry {
  const common = { at: 1, region: 'r', group: 'g', requestId: 'R', retryTimes: 0 }
  return { kind: 'SubBefore', ...common, messageId: `ID${id}`, keys }
}

interface Sent {
  readonly topic: string
  readonly body: string
  readonly keys: readonly string[]
}

function dispatching(answer: () => Promise<unknown> = () => Promise.resolve()) {
  const clock = new ManualClock()
  const sent: Sent[] = []
  const closes: number[] = []
  const warnings: object[] = []
  let opened = 0
  const dispatcher = new TraceDispatcher({
    topic: 'TRACE',
    clock,
    log: { ...silent, warn: fields => void warnings.push(fields) },
    open: () => {
      opened++
      return Promise.resolve({
        send: async (message: Sent) => {
          sent.push(message)
          await answer()
        },
        close: ({ drainMs }: { readonly drainMs: number }) => Promise.resolve(void closes.push(drainMs)),
      })
    },
  })
  return { clock, sent, closes, warnings, dispatcher, opened: () => opened }
}

test('entries of half a second are sent in one message, with the keys of all of them', async () => {
  const { clock, sent, dispatcher, opened } = dispatching()
  dispatcher.append([entry(1, 'a b'), entry(2, 'a')])
  clock.advance(400)
  dispatcher.append([entry(3)])
  assert.equal(opened(), 0, 'nothing is opened before there is something to send')
  clock.advance(100)
  await turn()
  assert.equal(sent.length, 1)
  assert.equal(sent[0]?.topic, 'TRACE')
  assert.deepEqual(sent[0]?.keys, ['ID1', 'a', 'b', 'ID2', 'ID3'])
  assert.equal(decodeEntries(sent[0]?.body ?? '').length, 3)
  await dispatcher.close(1000)
  assert.equal(clock.timers, 0)
})

test('a message has at most 118,000 characters, and no more keys than fit into its properties', async () => {
  const { sent, dispatcher } = dispatching()
  for (let id = 0; id < 40; id++) dispatcher.append([entry(id, 'k'.repeat(5000 + id))])
  await dispatcher.close(1000)
  assert.ok(sent.length > 1)
  for (const { body, keys } of sent) {
    assert.ok(body.length <= 118_000, `${body.length} characters`)
    assert.ok(keys.join(' ').length < 24_000, `${keys.join(' ').length} bytes of keys`)
  }
  assert.equal(sent.flatMap(({ body }) => decodeEntries(body)).length, 40)
})

test('an entry with too many keys is found by its message id', async () => {
  const { sent, dispatcher } = dispatching()
  dispatcher.append([entry(1, 'k'.repeat(30_000))])
  await dispatcher.close(1000)
  assert.deepEqual(sent[0]?.keys, ['ID1'])
})

test('while brokers do not answer, 2,048 entries wait and the others are dropped and counted', async () => {
  const { clock, sent, dispatcher, warnings } = dispatching(() => new Promise(() => {}))
  for (let id = 0; id < 3000; id++) dispatcher.append([entry(id)])
  clock.advance(500)
  await turn()
  assert.equal(dispatcher.dropped, 3000 - 2048)
  assert.equal(sent.flatMap(({ body }) => decodeEntries(body)).length, 2048)
  assert.equal(warnings.length, 1, 'one line, not one for each')
  const closing = dispatcher.close(1000)
  await turn()
  clock.advance(1000)
  await closing
  assert.equal(clock.timers, 0)
})

test('entries that cannot be sent are dropped and logged, and append does not throw', async () => {
  const { clock, dispatcher, warnings } = dispatching(() => Promise.reject(new Error('no broker')))
  dispatcher.append([entry(1)])
  clock.advance(500)
  await turn()
  assert.equal(dispatcher.dropped, 1)
  assert.match(JSON.stringify(warnings), /no broker/)
  dispatcher.append([entry(2)])
  await dispatcher.close(1000)
  assert.equal(dispatcher.dropped, 2)
})

test('closing sends the remaining entries, closes the sender once, and later entries are dropped', async () => {
  const { sent, closes, dispatcher } = dispatching()
  dispatcher.append([entry(1)])
  await Promise.all([dispatcher.close(1000), dispatcher.close(1000)])
  assert.equal(sent.length, 1)
  assert.deepEqual(closes, [0])
  dispatcher.append([entry(2)])
  assert.equal(dispatcher.dropped, 1)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type HttpAnswer, pause } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { Deadline } from '../deadline.ts'
import { RouteReasons } from './route-reasons.ts'

const ADDRESS = '10.0.0.1:9876'
const NO_MASTER = { code: 'NO_MASTER', message: 'broker-a has no master.', hints: ['Start it.'] }

/** Reasons of a name server that answers after `tookMs`, or that serves no HTTP. */
function reasonsOf(tookMs: number, answers = true) {
  const clock = new ManualClock()
  const asked: string[] = []
  const answer: HttpAnswer | undefined = answers ? { status: 200, body: JSON.stringify(NO_MASTER) } : undefined
  const client = {
    httpGet: async (_: string, path: string) => {
      asked.push(path)
      await pause(clock, tookMs)
      return answer
    },
  }
  const reasons = new RouteReasons({ client, clock, zone: '' })
  const ask = (timeoutMs = 3000, signal?: AbortSignal) =>
    reasons.ask(ADDRESS, 'Orders', new Deadline(clock, timeoutMs, signal))
  const advance = async (ms: number): Promise<void> => {
    clock.advance(ms)
    await new Promise(resolve => setImmediate(resolve))
  }
  return { asked, ask, advance }
}

test('callers that ask at the same time, and soon after, share one question', async () => {
  const { asked, ask, advance } = reasonsOf(10)
  const both = [ask(), ask()]
  await advance(10)
  assert.deepEqual(await Promise.all(both), [
    { address: ADDRESS, ...NO_MASTER },
    { address: ADDRESS, ...NO_MASTER },
  ])
  assert.equal((await ask())?.code, 'NO_MASTER')
  assert.deepEqual(asked, ['/api/v1/topics/Orders/why'])
  await advance(2000)
  void ask()
  assert.equal(asked.length, 2)
})

test('a caller that gives up gets no reason, and those that ask after it get one', async () => {
  const { ask, advance } = reasonsOf(500)
  const stop = new AbortController()
  const [aborted, late] = [ask(3000, stop.signal), ask(100)]
  stop.abort()
  assert.equal(await aborted, undefined)
  await advance(100)
  assert.equal(await late, undefined)
  const patient = ask()
  await advance(400)
  assert.equal((await patient)?.code, 'NO_MASTER')
})

test('a name server that does not explain is not asked again for a minute, however little time its caller had', async () => {
  const { asked, ask, advance } = reasonsOf(1000, false)
  const late = ask(100)
  await advance(1000)
  assert.equal(await late, undefined)
  await advance(58_000)
  assert.equal(await ask(), undefined)
  assert.equal(asked.length, 1)
  await advance(2000)
  void ask()
  assert.equal(asked.length, 2)
})

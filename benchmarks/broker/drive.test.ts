import assert from 'node:assert/strict'
import net from 'node:net'
import { type TestContext, test } from 'node:test'
import type { Driver, Load } from '../harness/drive.ts'
import { PlanFolder } from '../harness/plan-folder.ts'
import { findBrokerDriver, startBrokerLoad } from './drive.ts'
import { type Plan, pullPlan, sendPlan, writePlan } from './plan.ts'

async function drivers(): Promise<Driver[]> {
  const [best, fallback] = [await findBrokerDriver(), await findBrokerDriver('node')]
  return best.kind === 'node' ? [fallback] : [best, fallback]
}

interface Request {
  readonly code: number
  readonly opaque: number
  readonly extFields: Readonly<Record<string, string>>
}

interface Answer {
  readonly code: number
  readonly next?: number
  readonly body?: number
}

function encode({ code, next, body = 0 }: Answer, opaque: number): Buffer {
  const extFields = next === undefined ? {} : { nextBeginOffset: String(next), suggestWhichBrokerId: '0' }
  const header = Buffer.from(JSON.stringify({ code, extFields, flag: 1, opaque }))
  const frame = Buffer.alloc(8 + header.length + body)
  frame.writeUInt32BE(frame.length - 4, 0)
  frame.writeUInt32BE(header.length, 4)
  header.copy(frame, 8)
  return frame
}

/** A server that answers what it reads at once, the newest request first, in small pieces. Returns its port. */
async function serve(t: TestContext, answer: (request: Request) => Answer): Promise<number> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer({ noDelay: true }, socket => {
    sockets.add(socket)
    let rest: Buffer = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', chunk => {
      rest = Buffer.concat([rest, chunk])
      const answers: Buffer[] = []
      while (rest.length >= 8 && rest.length >= 4 + rest.readUInt32BE(0)) {
        const request = JSON.parse(rest.toString('utf8', 8, 8 + rest.readUInt32BE(4))) as Request
        answers.unshift(encode(answer(request), request.opaque))
        rest = rest.subarray(4 + rest.readUInt32BE(0))
      }
      const bytes = Buffer.concat(answers)
      for (let at = 0; at < bytes.length; at += 100) socket.write(bytes.subarray(at, at + 100))
    })
  })
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as net.AddressInfo).port
}

async function loadOf(t: TestContext, plan: Plan, port: number, rest: Partial<Load> = {}): Promise<Load> {
  const folder = await PlanFolder.create(writePlan)
  t.after(() => folder.close())
  const usual = { connections: 2, inFlight: 4, warmMs: 50, runMs: 200, serverPid: process.pid }
  return { ...usual, planPath: await folder.add(plan), port, ...rest }
}

const queues = Array.from({ length: 3 }, (_, id) => ({ topic: 'TopicA', id }))

for (const driver of await drivers()) {
  test(`the ${driver.kind} driver sends to all queues with a key for each message, and takes answers in any order`, async t => {
    const seen = { queues: new Set<string>(), keys: new Set<string>(), requests: 0 }
    const port = await serve(t, ({ code, extFields }) => {
      assert.equal(code, 310)
      seen.queues.add(extFields['e'] ?? '')
      seen.keys.add(extFields['i']?.split('\u0002')[0] ?? '')
      seen.requests++
      return { code: 0 }
    })
    const figures = await startBrokerLoad(driver, await loadOf(t, sendPlan(queues, 128), port)).figures
    assert.ok(figures.answers > 10 && figures.messages === figures.answers, JSON.stringify(figures))
    assert.ok(figures.p50Us > 0 && figures.p50Us <= figures.p99Us && figures.p99Us <= figures.maxUs * 1.04)
    assert.deepEqual([seen.queues.size, seen.keys.size], [3, seen.requests])
  })

  test(`the ${driver.kind} driver pulls from where the last answer ended, and starts again at the end`, async t => {
    const asked = new Map<string, number[]>()
    const port = await serve(t, ({ code, extFields: { queueId = '', queueOffset } }) => {
      assert.equal(code, 11)
      asked.set(queueId, [...(asked.get(queueId) ?? []), Number(queueOffset)])
      return { code: 0, next: Number(queueOffset) + 32, body: 7_000 }
    })
    const plan = pullPlan(
      queues.map(queue => ({ queue, first: 90, end: 170 })),
      0,
    )
    const load = await loadOf(t, plan, port, { connections: 3, inFlight: 1 })
    const figures = await startBrokerLoad(driver, load).figures
    assert.ok(figures.answers > 3)
    assert.equal(figures.messages, figures.answers * 32)
    for (const offsets of asked.values()) {
      const expected = Array.from({ length: offsets.length }, (_, i) => 90 + 32 * (i % 3))
      assert.deepEqual(offsets, expected)
    }
    assert.equal(asked.size, 3)
  })

  test(`the ${driver.kind} driver asks again for a pull that found nothing, and does not count it`, async t => {
    let asks = 0
    const port = await serve(t, ({ extFields }) => {
      assert.equal(extFields['queueOffset'], '5')
      asks++
      return { code: 19, next: 5 }
    })
    const plan = pullPlan([{ queue: { topic: 'TopicA', id: 0 }, first: 5 }], 1_000)
    const { answers, messages, refused } = await startBrokerLoad(driver, await loadOf(t, plan, port)).figures
    assert.ok(asks > 10)
    assert.deepEqual([answers, messages, refused], [0, 0, 0])
  })

  test(`the ${driver.kind} driver fails if the broker refuses more than a hundredth`, async t => {
    const port = await serve(t, () => ({ code: 2 }))
    const load = startBrokerLoad(driver, await loadOf(t, sendPlan(queues, 128), port))
    await assert.rejects(load.figures, /the broker refused \d+ of \d+ requests: {"code":2/)
  })

  test(`the ${driver.kind} driver can be stopped early`, async t => {
    const port = await serve(t, () => ({ code: 0 }))
    const load = startBrokerLoad(driver, await loadOf(t, sendPlan(queues, 128), port, { warmMs: 0, runMs: 600_000 }))
    await load.primed
    load.stop()
    const { ms } = await load.figures
    assert.ok(ms < 60_000)
  })
}

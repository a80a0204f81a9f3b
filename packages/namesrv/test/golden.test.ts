import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { type GoldenExchange, goldenExchanges } from '@gantrymq/testkit'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import { NameServer } from '../src/index.ts'

const BINARY = 1
const TURNS = 20_000

/** Requests whose answers depend only on earlier requests of the same captured sender. */
const OF_MQADMIN = [
  'PUT_KV_CONFIG',
  'GET_KV_CONFIG',
  'DELETE_KV_CONFIG',
  'UPDATE_NAMESRV_CONFIG',
  'DELETE_TOPIC_IN_NAMESRV',
]

function isAnsweredAlike({ role, sender, scenario, name, server }: GoldenExchange): boolean {
  if (role === 'client') return false
  if (role === 'mqadmin') return OF_MQADMIN.includes(name)
  // A 5.x broker compresses its body but declares it as plain; only Gantry reads that. See docs/compatibility.md.
  if (sender === '5.5.0' && scenario.includes('compresses')) return false
  // 5.x leaves a remark of an error in this successful answer.
  return !(server === '5.5.0' && name === 'GET_BROKER_MEMBER_GROUP')
}

const isBinary = ({ request }: GoldenExchange) => request[4] === BINARY

function scenariosOf(server: string, binary: boolean): ReadonlyMap<string, GoldenExchange[]> {
  const chosen = goldenExchanges().filter(exchange => exchange.server === server && isBinary(exchange) === binary)
  return Map.groupBy(chosen.filter(isAnsweredAlike), ({ role, sender, scenario }) => `${role} ${sender}, ${scenario}`)
}

async function connected(t: TestContext): Promise<Duplex> {
  const server = await NameServer.start({ port: 0, host: '127.0.0.1', clock: new ManualClock() })
  const [near, far] = memorySockets()
  t.after(() => {
    far.destroy()
    return server.close()
  })
  server.accept(near, '10.0.0.1:50000')
  return far
}

function isWhole(frame: Buffer): boolean {
  return frame.length >= 4 && frame.length === 4 + frame.readUInt32BE(0)
}

/** Sends a captured request and gives the answer's bytes. */
async function answerTo(request: Buffer, stream: Duplex): Promise<Buffer> {
  stream.write(request)
  let answer: Buffer = Buffer.alloc(0)
  for (let turns = 0; turns < TURNS && !isWhole(answer); turns++) {
    const chunk: unknown = stream.read()
    if (Buffer.isBuffer(chunk)) answer = Buffer.concat([answer, chunk])
    else await turn()
  }
  return answer
}

for (const [what, exchanges] of scenariosOf('5.5.0', false)) {
  test(`${what}: each answer is that of 5.5.0, byte for byte`, async t => {
    const stream = await connected(t)
    for (const { name, request, answer } of exchanges) {
      if (answer === null) stream.write(request)
      else assert.equal((await answerTo(request, stream)).toString('latin1'), answer.toString('latin1'), name)
    }
  })
}

/** The answer with Gantry's version in its binary header instead of 407. */
function withGantryVersion(answer: Buffer): Buffer {
  const copy = Buffer.from(answer)
  copy.writeUInt16BE(513, 11)
  return copy
}

for (const [what, exchanges] of scenariosOf('4.9.7', true)) {
  test(`${what}: each answer is that of 4.9.7 but for the version, byte for byte`, async t => {
    const stream = await connected(t)
    for (const { name, request, answer } of exchanges) {
      // 4.9 and 5.x refuse a forbidden key with different remarks.
      if (answer === null || answer.includes('Can not update')) continue
      const bytes = await answerTo(request, stream)
      assert.equal(bytes.toString('latin1'), withGantryVersion(answer).toString('latin1'), name)
    }
  })
}

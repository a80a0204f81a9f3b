import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { pullFlags, stringHash } from '@gantrymq/protocol'
import { NOT_TAKEN } from '@gantrymq/remoting'
import fc from 'fast-check'
import { type BothWays, bothWays, frameOf, type RawRequest } from '../../test/both-ways.ts'
import { sendMessage, settle } from '../../test/requests.ts'
import { PullPath } from './pull-path.ts'

type Fields = Readonly<Record<string, string | undefined>>

const MESSAGES = 40

const plainFields = {
  consumerGroup: 'billing',
  topic: 'Orders',
  queueId: '1',
  queueOffset: '0',
  maxMsgNums: '32',
  sysFlag: String(pullFlags.subscription),
  commitOffset: '0',
  suspendTimeoutMillis: '15000',
  subscription: '*',
  subVersion: '0',
  expressionType: 'TAG',
}

/** A pull with fields changed, or left out where they are undefined, in both encodings. */
function variants(fields: Fields): RawRequest[] {
  const given = Object.entries({ ...plainFields, ...fields }).filter(([, value]) => value !== undefined)
  const all = Object.fromEntries(given) as Record<string, string>
  return (['JSON', 'ROCKETMQ'] as const).map(serializeType => ({ code: 11, fields: all, serializeType }))
}

const flags = (...bits: number[]): string => String(bits.reduce((all, bit) => all | bit, 0))
const { commitOffset: COMMIT, suspend: SUSPEND, subscription: SUBSCRIPTION } = pullFlags

/** Pulls that the fast path answers. */
const answered: Readonly<Record<string, Fields>> = {
  'from the start': {},
  'from the middle': { queueOffset: '20' },
  'the last message': { queueOffset: String(MESSAGES - 1) },
  'one message': { maxMsgNums: '1' },
  'no message, which is one': { maxMsgNums: '0' },
  'more messages than are allowed': { maxMsgNums: '1000' },
  'at most some bytes': { maxMsgBytes: '700' },
  'one tag': { subscription: 'even' },
  'several tags': { subscription: 'odd || even' },
  'no subscription, which is all': { subscription: undefined },
  'an empty subscription': { subscription: '' },
  'no type of the expression': { expressionType: undefined },
  'an empty type of the expression': { expressionType: '' },
  'an offset that comes along': { sysFlag: flags(COMMIT, SUSPEND, SUBSCRIPTION), commitOffset: '12' },
  'a negative offset that comes along': { sysFlag: flags(COMMIT, SUBSCRIPTION), commitOffset: '-1' },
  'one that may wait': { sysFlag: flags(SUSPEND, SUBSCRIPTION) },
  'a source that is no number': { requestSource: 'proxy' },
  'fields that the broker does not know': { bname: 'broker-a', lo: 'true', unknown: 'x' },
}

/** Pulls that take the long way. */
const left: Readonly<Record<string, Fields>> = {
  'behind the last message': { queueOffset: String(MESSAGES) },
  'far behind it': { queueOffset: '1000' },
  'before the first one': { queueOffset: '-1' },
  'an empty queue': { queueId: '3' },
  'an empty queue, from the middle': { queueId: '3', queueOffset: '5' },
  'no message that is wanted': { subscription: 'unknown', queueOffset: '1' },
  'an expression in SQL': { expressionType: 'SQL92', subscription: 'a > 1' },
  'a subscription that names no tag': { subscription: ' || ' },
  'a subscription that is too long': { subscription: Array.from({ length: 100 }, (_, i) => `tag${i}`).join('||') },
  'an unknown topic': { topic: 'Unknown' },
  'an unknown queue': { queueId: '99' },
  'a negative queue': { queueId: '-1' },
  'the subscription of no heartbeat': { sysFlag: '0' },
  'a number that is none': { maxMsgNums: 'many' },
  'bytes that are no number': { maxMsgBytes: 'many' },
  'an offset with a sign': { queueOffset: '+1' },
  'an offset that is not exact': { queueOffset: '9007199254740993' },
  ...Object.fromEntries(
    Object.keys(plainFields)
      .filter(name => name !== 'subscription' && name !== 'expressionType')
      .map(name => [`no ${name}`, { [name]: undefined }]),
  ),
}

function countTaken(t: TestContext): () => number {
  const { mock } = t.mock.method(PullPath.prototype, 'take')
  return () => mock.calls.filter(({ result }) => result !== NOT_TAKEN).length
}

/** Fills a queue, and lets the group exist. */
async function begin(ways: BothWays): Promise<void> {
  for (const mq of [ways.fast, ways.long]) {
    for (let n = 0; n < MESSAGES; n++) {
      const tag = n === 0 ? '' : `TAGS\u0001${n % 2 === 0 ? 'even' : 'odd'}\u0002`
      await sendMessage(mq, { queueId: 1, properties: `UNIQ_KEY\u0001A${n}\u0002${tag}` }, `message ${n}`)
    }
  }
  // It creates the group.
  await ways.play(frameOf(variants({ queueOffset: '-1' })[0]!), 'the first pull')
}

async function playAll(t: TestContext, ways: BothWays, cases: Readonly<Record<string, Fields>>, isTaken: boolean) {
  const taken = countTaken(t)
  for (const [name, fields] of Object.entries(cases)) {
    for (const request of variants(fields)) {
      const before = taken()
      const what = `${name}, ${request.serializeType}`
      await ways.play(frameOf(request), what)
      assert.equal(taken() - before, isTaken ? 1 : 0, what)
    }
    assert.deepEqual(...offsets(ways), name)
    await ways.compare(name)
  }
}

function offsets({ fast, long }: BothWays): [unknown, unknown] {
  const of = ({ broker }: BothWays['fast']) =>
    [...broker.status.groups()].map(group => [group, broker.status.backlogs(group)])
  return [of(fast), of(long)]
}

test('pulls whose messages are in memory are answered; answers, offsets and counts are those of the long way', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  await playAll(t, ways, answered, true)
})

test('all other pulls take the long way, with nothing changed before', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  await playAll(t, ways, left, false)
})

test('a subscription with escapes of JSON takes the long way', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  const taken = countTaken(t)
  for (const request of variants({ subscription: 'even || "odd"' })) await ways.play(frameOf(request), 'a pull')
  assert.equal(taken(), 1)
  await ways.compare('both encodings')
})

test('the first pull of a group makes it; the next one is answered', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  const taken = countTaken(t)
  for (const request of variants({ consumerGroup: 'new' })) await ways.play(frameOf(request), 'a pull')
  assert.equal(taken(), 1)
  await ways.compare('both encodings')
})

test('a one-way pull takes the long way', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  const taken = countTaken(t)
  for (const request of variants({})) await ways.play(frameOf({ ...request, isOneway: true }), 'one-way')
  assert.equal(taken(), 0)
  await ways.compare('one-way')
})

test('a pull that is held is answered by the next message, however that was stored', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  const held = variants({ queueOffset: String(MESSAGES), sysFlag: flags(SUSPEND, SUBSCRIPTION) })
  for (const request of held) assert.equal(await ways.play(frameOf(request), 'a pull'), '')
  for (const mq of [ways.fast, ways.long]) await sendMessage(mq, { queueId: 1, properties: 'UNIQ_KEY\u0001A\u0002' })
  await settle()
  assert.match(await ways.play(Buffer.alloc(0), 'the answers'), /FOUND[^]*FOUND/)
  await ways.compare('the answers')
})

test('an offset that an operator has reset is answered once, by the long way', async t => {
  const ways = await bothWays(t, { useServerSideResetOffset: true })
  await begin(ways)
  await ways.play(frameOf(variants({ sysFlag: flags(COMMIT, SUBSCRIPTION), commitOffset: '30' })[0]!), 'a commit')
  const reset = { topic: 'Orders', group: 'billing', timestamp: '0', isForce: 'true', offset: '5', queueId: '1' }
  await ways.play(frameOf({ code: 222, fields: reset, version: 475 }), 'the reset')
  const taken = countTaken(t)
  const pulls = [...variants({}), ...variants({})]
  for (const request of pulls) await ways.play(frameOf(request), 'a pull')
  assert.equal(taken(), pulls.length - 1)
  assert.deepEqual(...offsets(ways))
})

const refusing = {
  'a broker that may not be read': 'brokerPermission=2',
  'a broker that wants to know its consumers': 'rejectPullConsumerEnable=true',
}
for (const [name, option] of Object.entries(refusing)) {
  test(`${name} answers no pull by the fast way`, async t => {
    const ways = await bothWays(t)
    await begin(ways)
    await playAll(t, ways, { before: {} }, true)
    const answer = await ways.play(frameOf({ code: 25, fields: {}, body: Buffer.from(`${option}\n`) }), 'the change')
    assert.match(answer, /"code":0/)
    await playAll(t, ways, { after: {} }, false)
  })
}

test('a broker with a slave suggests it as by the long way', async t => {
  const ways = await bothWays(t, { slaveReadEnable: true })
  await begin(ways)
  await playAll(t, ways, { 'a pull': {} }, true)
})

test('a subscription that a heartbeat brought is used, and its version checked', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  const subscription = { topic: 'Orders', subString: 'odd', tagsSet: ['odd'], codeSet: [stringHash('odd')], subVersion: 5, expressionType: 'TAG' } // biome-ignore format: one thought
  const consumer = { groupName: 'billing', consumeType: 'CONSUME_PASSIVELY', messageModel: 'CLUSTERING', consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET', subscriptionDataSet: [subscription], unitMode: false } // biome-ignore format: one thought
  const body = Buffer.from(JSON.stringify({ clientID: 'client', consumerDataSet: [consumer], producerDataSet: [] }))
  await ways.play(frameOf({ code: 34, fields: {}, body }), 'a heartbeat')
  await playAll(t, ways, { 'the same version': { sysFlag: '0', subVersion: '5', subscription: undefined } }, true)
  await playAll(t, ways, { 'a later version': { sysFlag: '0', subVersion: '6', subscription: undefined } }, false)
})

test('whatever a pull says, both ways do the same', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  const value = fc.option(fc.constantFrom('', '0', '1', '3', '39', '40', '-1', '7', '100', 'TAG', 'Orders', 'even', 'x'), { nil: undefined }) // biome-ignore format: one thought
  const change = fc.tuple(fc.constantFrom(...Object.keys(plainFields), 'maxMsgBytes'), value)
  const pull = fc.tuple(fc.array(change, { maxLength: 3 }), fc.nat(1))
  await fc.assert(
    fc.asyncProperty(fc.array(pull, { minLength: 1, maxLength: 8 }), async pulls => {
      const frames = pulls.map(([changes, variant]) => {
        // Held pulls would be answered by nothing.
        const fields = { suspendTimeoutMillis: '0', ...Object.fromEntries(changes) }
        return frameOf(variants(fields)[variant]!)
      })
      await ways.play(Buffer.concat(frames), 'the answers')
      assert.deepEqual(...offsets(ways))
      await ways.compare('the counts')
    }),
    { numRuns: 150, seed: 11 },
  )
})

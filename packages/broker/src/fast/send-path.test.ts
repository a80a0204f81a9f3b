import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { encodeBatch } from '@gantrymq/protocol'
import { ANNOUNCED_VERSION, NOT_TAKEN } from '@gantrymq/remoting'
import fc from 'fast-check'
import { type BothWays, bothWays, frameOf, type RawRequest } from '../../test/both-ways.ts'
import { sendMessage, settle } from '../../test/requests.ts'
import { StoppableDisk } from '../../test/stoppable-disk.ts'
import { SendPath } from './send-path.ts'

type Fields = Readonly<Record<string, string | undefined>>

const plainProperties = 'UNIQ_KEY\u0001AC1100010000A\u0002WAIT\u0001true\u0002TAGS\u0001new\u0002'

const plainFields = {
  producerGroup: 'shop',
  topic: 'Orders',
  defaultTopic: 'TBW102',
  defaultTopicQueueNums: '4',
  queueId: '1',
  sysFlag: '0',
  bornTimestamp: '1699999999000',
  flag: '7',
  properties: plainProperties,
  reconsumeTimes: '0',
  unitMode: 'false',
  batch: 'false',
}

const letters: Readonly<Record<string, string>> = {
  producerGroup: 'a',
  topic: 'b',
  defaultTopic: 'c',
  defaultTopicQueueNums: 'd',
  queueId: 'e',
  sysFlag: 'f',
  bornTimestamp: 'g',
  flag: 'h',
  properties: 'i',
  reconsumeTimes: 'j',
  unitMode: 'k',
  maxReconsumeTimes: 'l',
  batch: 'm',
}

interface SendCase {
  readonly fields?: Fields
  readonly body?: string | Buffer
}

/** A send with fields changed, or left out where they are undefined, in both codes, both encodings, with and without a reply. */
function variants({ fields = {}, body = 'hello' }: SendCase): RawRequest[] {
  const given = Object.entries({ ...plainFields, ...fields }).filter(([, value]) => value !== undefined)
  const long = Object.fromEntries(given) as Record<string, string>
  const short = Object.fromEntries(given.map(([name, value]) => [letters[name] ?? name, value])) as Record<
    string,
    string
  >
  const bytes = Buffer.from(body)
  return [10, 310].flatMap(code =>
    (['JSON', 'ROCKETMQ'] as const).flatMap(serializeType =>
      [false, true].map(isOneway => ({
        code,
        fields: code === 10 ? long : short,
        body: bytes,
        serializeType,
        isOneway,
      })),
    ),
  )
}

const property = (text: string): SendCase => ({ fields: { properties: plainProperties + text } })

/** Sends that the fast path takes. */
const plain: Readonly<Record<string, SendCase>> = {
  'a plain message': {},
  'another queue': { fields: { queueId: '3' } },
  'no reconsumeTimes, no unitMode, no batch': {
    fields: { reconsumeTimes: undefined, unitMode: undefined, batch: undefined },
  },
  'a negative flag': { fields: { flag: '-9' } },
  'leading zeros': { fields: { queueId: '001', bornTimestamp: '01699999999000', flag: '00' } },
  'a time before 1970': { fields: { bornTimestamp: '-5' } },
  'bits of the system flag': { fields: { sysFlag: '3' } },
  'a message that was consumed before': { fields: { reconsumeTimes: '4' } },
  'no last separator': { fields: { properties: plainProperties.slice(0, -1) } },
  'WAIT in front': { fields: { properties: 'WAIT\u0001true\u0002UNIQ_KEY\u0001A1' } },
  'WAIT at the end': { fields: { properties: 'UNIQ_KEY\u0001A1\u0002WAIT\u0001true' } },
  'keys and a user property': property('KEYS\u0001one two\u0002colour\u0001green\u0002'),
  'unicode in names and values': property('größe\u0001sehr groß 😀\u0002'),
  'all escapes of JSON': property('e\u0001"\\/\b\f\n\r\t \u001f\u007f\u2028\u0002'),
  'separators that look like some': property('a\u0001\u0003\u0002'),
  'fields that the broker does not know': { fields: { bname: 'broker-a', unknown: 'x', n: 'broker-a', ns: 'y' } },
  'maxReconsumeTimes that is no number, which counts for retries only': { fields: { maxReconsumeTimes: 'x' } },
  'properties that are longer than all before them': property(`long\u0001${'x'.repeat(20_000)}\u0002`),
  'properties as long as they can be, without the last separator': property(`long\u0001${'x'.repeat(32_000)}`),
  'a body of binary zeros': { body: Buffer.alloc(300) },
}

/** Sends that take the long way. */
const odd: Readonly<Record<string, SendCase>> = {
  'no properties': { fields: { properties: undefined } },
  'empty properties': { fields: { properties: '' } },
  'no unique id': { fields: { properties: 'TAGS\u0001new\u0002' } },
  'a unique id with characters of its own': { fields: { properties: 'UNIQ_KEY\u0001a"b\\c\u0002' } },
  'an empty unique id': { fields: { properties: 'UNIQ_KEY\u0001\u0002TAGS\u0001a' } },
  'two unique ids': property('UNIQ_KEY\u0001B2\u0002'),
  'a repeated property': property('TAGS\u0001old\u0002'),
  'an entry without a name': property('\u0001value\u0002'),
  'an entry without a value': property('name\u0001\u0002'),
  'an entry without a separator': property('name\u0002'),
  'a separator in a value': property('name\u0001a\u0001b\u0002'),
  'two separators': property('\u0002name\u0001a\u0002'),
  'a zero in a value': property('name\u0001a\0b\u0002'),
  'WAIT is false': { fields: { properties: 'UNIQ_KEY\u0001A1\u0002WAIT\u0001false\u0002' } },
  'WAIT in upper case': { fields: { properties: 'UNIQ_KEY\u0001A1\u0002WAIT\u0001TRUE\u0002' } },
  'a delay level': property('DELAY\u00013\u0002'),
  'a delay level of 0': property('DELAY\u00010\u0002'),
  'a half message': property('TRAN_MSG\u0001true\u0002PGROUP\u0001shop\u0002'),
  'no half message': property('TRAN_MSG\u0001false\u0002'),
  'a receipt of a pop': property('POP_CK\u0001receipt\u0002'),
  'a cluster of its own': property('CLUSTER\u0001other\u0002'),
  'a region of its own': property('MSG_REGION\u0001other\u0002'),
  'a trace flag of its own': property('TRACE_ON\u0001false\u0002'),
  'a timer': property('TIMER_DELAY_SEC\u000110\u0002'),
  'an inner batch': property('INNER_NUM\u00012\u0002'),
  'an inner batch by its flag': { fields: { sysFlag: '128' } },
  'a prepared message by its flag': { fields: { sysFlag: '4' } },
  'a committed message by its flag': { fields: { sysFlag: '8' } },
  'properties over the limit': property(`long\u0001${'x'.repeat(32_700)}\u0002`),
  'properties that look unwritten': { fields: { properties: `${plainProperties}a\u0001${'\0'.repeat(600)}\u0002` } },
  'an unknown topic': { fields: { topic: 'Unknown', defaultTopic: 'none' } },
  'a topic with illegal characters': { fields: { topic: '../Orders' } },
  'a topic with unicode': { fields: { topic: 'Örders' } },
  'an empty topic': { fields: { topic: '' } },
  'a topic that is too long': { fields: { topic: 'x'.repeat(300) } },
  'a closed topic': { fields: { topic: 'SCHEDULE_TOPIC_XXXX' } },
  'the topic of a retry': { fields: { topic: '%RETRY%shop', reconsumeTimes: '1' } },
  'a dead letter': { fields: { topic: '%RETRY%shop', reconsumeTimes: '17', maxReconsumeTimes: '2' } },
  'any queue': { fields: { queueId: '-1' } },
  'a queue that does not exist': { fields: { queueId: '8' } },
  'a queue that is too large for an int': { fields: { queueId: '99999999999' } },
  'a queue with a sign': { fields: { queueId: '+1' } },
  'a queue with blanks': { fields: { queueId: ' 1' } },
  'a queue that is no number': { fields: { queueId: 'one' } },
  'a queue of ten digits': { fields: { queueId: '0000000001' } },
  'a flag of ten digits': { fields: { flag: '2147483647' } },
  'an empty number': { fields: { flag: '' } },
  'only a sign': { fields: { flag: '-' } },
  'reconsumeTimes that is no number': { fields: { reconsumeTimes: 'x' } },
  'a time that is not exact': { fields: { bornTimestamp: '9007199254740993' } },
  ...Object.fromEntries(
    [
      'producerGroup',
      'topic',
      'defaultTopic',
      'defaultTopicQueueNums',
      'queueId',
      'sysFlag',
      'bornTimestamp',
      'flag',
    ].map(name => [`no ${name}`, { fields: { [name]: undefined } }]),
  ),
  'a number of queues that is none': { fields: { defaultTopicQueueNums: 'many' } },
  'no body': { body: '' },
  'a body over the limit': { body: Buffer.alloc(4_194_305) },
  'a batch': { fields: { batch: 'true' }, body: batch(['first', 'second']) },
  'a batch in upper case': { fields: { batch: 'TRUE' }, body: batch(['first']) },
  'a batch that is none': { fields: { batch: 'true' } },
  'a flag of the batch that is none': { fields: { batch: 'no' } },
}

function batch(bodies: readonly string[]): Buffer {
  return encodeBatch(
    bodies.map((body, index) => ({
      flag: index,
      body: Buffer.from(body),
      properties: new Map([['UNIQ_KEY', `B${index}`]]),
    })),
  )
}

/** Counts how many requests the fast path has taken. */
function countTaken(t: TestContext): () => number {
  const { mock } = t.mock.method(SendPath.prototype, 'take')
  return () => mock.calls.filter(({ result }) => result !== NOT_TAKEN).length
}

/** Lets the topic and its queues exist. */
async function begin(ways: BothWays, topic = 'Orders'): Promise<void> {
  for (const mq of [ways.fast, ways.long]) {
    for (let queueId = 0; queueId < 4; queueId++) await sendMessage(mq, { topic, queueId })
  }
}

async function playAll(t: TestContext, ways: BothWays, cases: Readonly<Record<string, SendCase>>, isTaken: boolean) {
  const taken = countTaken(t)
  for (const [name, each] of Object.entries(cases)) {
    for (const request of variants(each)) {
      const before = taken()
      const what = `${name}, ${request.code}, ${request.serializeType}${request.isOneway === true ? ', one-way' : ''}`
      await ways.play(frameOf(request), what)
      assert.equal(taken() - before, isTaken ? 1 : 0, what)
    }
    await ways.compare(name)
  }
}

test('plain messages are taken; records, replies and counts are those of the long way', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  await playAll(t, ways, plain, true)
})

test('with SYNC_FLUSH, too', async t => {
  const ways = await bothWays(t, { flushDiskType: 'SYNC_FLUSH' })
  await begin(ways)
  await playAll(t, ways, plain, true)
})

test('all other messages take the long way, with nothing changed before', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  await playAll(t, ways, odd, false)
})

const settings = {
  'a broker with other names': { brokerClusterName: 'blue', regionId: 'north "1"', traceOn: false },
  'a broker with an IPv6 address': { brokerIP1: '::1' },
}
for (const [name, options] of Object.entries(settings)) {
  test(`${name} stores and answers as by the long way`, async t => {
    const ways = await bothWays(t, options)
    await begin(ways)
    await playAll(t, ways, { 'a plain message': {} }, true)
  })
}

test('options that change apply to the next message', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  await playAll(t, ways, { before: {} }, true)
  const change = { code: 25, fields: {}, body: Buffer.from('traceOn=false\n') }
  await ways.play(frameOf(change), 'the change')
  assert.equal(ways.fast.broker.options.traceOn, false)
  await playAll(t, ways, { after: {} }, true)
})

test('the first message for a topic makes it; the next one for the same queue is taken', async t => {
  const ways = await bothWays(t)
  await playAll(t, ways, { 'an unknown topic': { fields: { defaultTopic: 'none' } } }, false)
  const taken = countTaken(t)
  for (const request of variants({})) await ways.play(frameOf(request), 'a message')
  assert.equal(taken(), 7)
  await ways.compare('all of them')
})

/** The header of a request to create a topic, or to change it. */
function topicFields(topic: string, more: Readonly<Record<string, string>>): Record<string, string> {
  const common = { readQueueNums: '4', writeQueueNums: '4', perm: '6', topicFilterType: 'SINGLE_TAG' }
  return { topic, ...common, topicSysFlag: '0', order: 'false', defaultTopic: 'TBW102', ...more }
}

test('a broker that may not write takes no message for an ordered topic', async t => {
  const ways = await bothWays(t)
  await ways.play(frameOf({ code: 17, fields: topicFields('Ordered', { order: 'true' }) }), 'an ordered topic')
  await begin(ways)
  await begin(ways, 'Ordered')
  await playAll(t, ways, { before: { fields: { topic: 'Ordered' } } }, true)
  await ways.play(frameOf({ code: 25, fields: {}, body: Buffer.from('brokerPermission=4\n') }), 'the change')
  assert.equal(ways.fast.broker.options.brokerPermission, 4)
  await playAll(t, ways, { 'an unordered topic': {} }, true)
  await playAll(t, ways, { 'an ordered topic': { fields: { topic: 'Ordered' } } }, false)
})

test('a queue that its topic has no longer takes no message', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  const fewer = topicFields('Orders', { readQueueNums: '2', writeQueueNums: '2' })
  await ways.play(frameOf({ code: 17, fields: fewer }), 'the change')
  await playAll(t, ways, { 'the last queue': { fields: { queueId: '1' } } }, true)
  await playAll(t, ways, { 'one behind it': { fields: { queueId: '3' } } }, false)
})

test('a message waits for the topics to be stored, by the long way', async t => {
  const disks = [new StoppableDisk(t), new StoppableDisk(t)] as const
  const ways = await bothWays(t, {}, disks)
  await begin(ways)
  const goOn = disks.map(disk => disk.stop())
  const taken = countTaken(t)
  const request = variants({})[0]!
  const created = variants({ fields: { topic: 'Created' } })[0]!
  assert.equal(await ways.play(frameOf(created), 'a message that creates a topic'), '')
  assert.equal(await ways.play(frameOf(request), 'a message behind it'), '')
  assert.equal(taken(), 0)
  for (const go of goOn) go()
  await settle()
  await ways.play(frameOf(request), 'afterwards')
  assert.equal(taken(), 1)
  await ways.compare('all of them')
})

test('a broker that does not accept messages yet takes none', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  const later = ways.fast.clock.now() + 1000
  const body = Buffer.from(`startAcceptSendRequestTimeStamp=${later}\n`)
  await ways.play(frameOf({ code: 25, fields: {}, body }), 'the change')
  assert.equal(ways.fast.broker.options.startAcceptSendRequestTimeStamp, later)
  await playAll(t, ways, { early: {} }, false)
  for (const { clock } of [ways.fast, ways.long]) clock.advance(1000)
  await playAll(t, ways, { late: {} }, true)
})

test('a topic whose messages have several tags marks them', async t => {
  const ways = await bothWays(t)
  const multi = topicFields('Multi', { topicFilterType: 'MULTI_TAG' })
  await ways.play(frameOf({ code: 17, fields: multi }), 'the topic')
  await begin(ways, 'Multi')
  await playAll(t, ways, { 'a message': { fields: { topic: 'Multi' } } }, true)
})

test('a message for a deleted topic is refused, or makes it again', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  await playAll(t, ways, { before: {} }, true)
  await ways.play(frameOf({ code: 215, fields: { topic: 'Orders' } }), 'the deletion')
  for (const request of variants({})) await ways.play(frameOf(request), 'after it')
  await ways.compare('after the deletion')
})

test('text that is not UTF-8, or is escaped in another way, is stored as by the long way', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  const header = (properties: string, topic = 'Orders'): string =>
    `{"code":310,"extFields":{"a":"shop","b":"${topic}","c":"TBW102","d":"4","e":"1","f":"0","g":"1","h":"0","i":"${properties}"},"flag":0,"language":"JAVA","opaque":77,"version":409}`
  const texts = [
    String.raw`UNIQ_KEY\u0001A1\u0002\u0061\u0001\u0062\u0002`,
    String.raw`UNIQ_KEY\u0001A1\u0002a\u0001\ud83d\ude00\u0002`,
    String.raw`UNIQ_KEY\u0001A1\u0002a\u0001\ud83d\u0002`,
    String.raw`UNIQ_KEY\u0001A1\u0002a\u0001\ude00x\u0002`,
    String.raw`UNIQ_KEY\u0001A1\u0002a\u0001` + '\xff\xfe',
    String.raw`UNIQ_KEY\u0001A1\u0002a\u0001\x41\u0002`,
    String.raw`UNIQ_KEY\u0001A1\u0002a\u0001\'\v\u0002`,
  ]
  const topics = ['Orders', String.raw`\u004frders`, 'Orders\xff']
  for (const [properties, topic] of [...texts.map(text => [text, 'Orders']), ...topics.map(name => [texts[0], name])]) {
    const bytes = Buffer.from(header(properties ?? '', topic), 'latin1')
    const frame = Buffer.concat([Buffer.alloc(8), bytes, Buffer.from('hello')])
    frame.writeInt32BE(frame.length - 4)
    frame.writeInt32BE(bytes.length, 4)
    await ways.play(frame, `${properties} to ${topic}`)
  }
  await ways.compare('texts')
})

test('sends that wait for the store keep their order', async t => {
  const disks = [new StoppableDisk(t), new StoppableDisk(t)] as const
  const ways = await bothWays(t, {}, disks)
  await begin(ways)
  const goOn = disks.map(disk => disk.stop())
  t.after(() => goOn.forEach(go => go()))
  // 64 MiB may be written and not yet synced.
  const big = variants({ body: Buffer.alloc(4_000_000) })[0]!
  const small = variants({})[0]!
  const taken = countTaken(t)
  for (let n = 0; n < 17; n++) await ways.play(frameOf(big), `message ${n}`)
  assert.equal(taken(), 16)
  assert.equal(await ways.play(frameOf(small), 'a small one behind a large one that waits'), '')
  assert.equal(taken(), 16)
  for (const go of goOn) go()
  await settle()
  for (const { clock } of [ways.fast, ways.long]) clock.advance(100)
  await settle()
  await ways.play(frameOf(small), 'one after them')
  assert.equal(taken(), 17)
  await ways.compare('all of them')
})

test('replies announce the version of the router', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  assert.match(await ways.play(frameOf(variants({})[0]!), 'a message'), new RegExp(`"version":${ANNOUNCED_VERSION}}`))
})

test('whatever a request says, both ways do the same', async t => {
  const ways = await bothWays(t)
  await begin(ways)
  const values = fc.constantFrom('', '0', '1', '3', '-1', '4', '12', '128', '1699999999000', 'true', 'false', 'Orders', '%RETRY%shop', plainProperties) // biome-ignore format: one thought
  const entry = fc.tuple(
    fc.constantFrom('UNIQ_KEY', 'TAGS', 'KEYS', 'WAIT', 'DELAY', 'TRAN_MSG', 'CLUSTER', 'a', 'ü', ''),
    fc.constantFrom('\u0001', '\u0001', '\u0001', '\u0001', '', '\u0002'),
    fc.constantFrom('A1', 'true', 'false', '2', 'one two', '😀', '', '\u0001', '"\\', '\0'),
    fc.constantFrom('\u0002', '\u0002', '\u0002', '\u0002', '', '\u0001'),
  )
  const properties = fc.array(entry, { maxLength: 5 }).map(entries => entries.flat().join(''))
  const change = fc.oneof(
    { weight: 3, arbitrary: properties.map((text): Fields => ({ properties: `UNIQ_KEY\u0001A9\u0002${text}` })) },
    { weight: 1, arbitrary: properties.map((text): Fields => ({ properties: text })) },
    {
      weight: 2,
      arbitrary: fc.tuple(fc.constantFrom(...Object.keys(letters)), fc.option(values, { nil: undefined })).map(([name, value]): Fields => ({ [name]: value })), // biome-ignore format: one thought
    },
  )
  const request = fc.tuple(fc.array(change, { maxLength: 2 }), fc.nat(7), fc.constantFrom('hello', '', batch(['x'])))
  await fc.assert(
    fc.asyncProperty(fc.array(request, { minLength: 1, maxLength: 8 }), async requests => {
      const frames = requests.map(([changes, variant, body]) => {
        const fields = Object.assign({}, ...changes) as Fields
        return frameOf(variants({ fields, body })[variant]!)
      })
      await ways.play(Buffer.concat(frames), 'the replies')
      await ways.compare('the log')
    }),
    { numRuns: 150, seed: 310 },
  )
})

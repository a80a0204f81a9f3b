import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeRegisterBroker, type RegisterBrokerBody, readRegistration, type TopicConfig } from '@gantrymq/protocol'
import { finish } from '@gantrymq/remoting'
import fc from 'fast-check'
import { differenceOf, type ReadBody } from './body-difference.ts'
import { outlineOf, type RegistrationReading, readTopics } from './reader.ts'
import { scanTable } from './scan.ts'

const form = { version: 409, compressed: false, now: 0, maxTopics: 1000 }

function topic(topicName: string, perm = 6, attributes?: ReadonlyMap<string, string>): TopicConfig {
  const config = {
    topicName,
    readQueueNums: 8,
    writeQueueNums: 8,
    perm,
    topicFilterType: 'SINGLE_TAG',
    topicSysFlag: 0,
    order: false,
  }
  return attributes ? { ...config, attributes } : config
}

function encode(topics: readonly TopicConfig[], counter: number, version = 409): Buffer {
  const body: RegisterBrokerBody = {
    dataVersion: { stateVersion: 0, timestamp: 1_700_000_000_000, counter },
    topics: new Map(topics.map(config => [config.topicName, config])),
    topicQueueMappings: new Map(),
    filterServers: [],
  }
  return encodeRegisterBroker(body, { version, compressed: false })
}

function read(bytes: Buffer, last?: ReadBody, version = 409): RegistrationReading {
  return finish(readTopics(bytes, { ...form, version }, last))
}

const settings = ({ topicName, readQueueNums, writeQueueNums, perm, topicSysFlag, order }: TopicConfig) =>
  `${topicName} ${readQueueNums} ${writeQueueNums} ${perm} ${topicSysFlag} ${order}`

const names = fc.stringMatching(/^[A-Za-z0-9_%|-]{1,20}$/)
const configs = fc.record(
  {
    topicName: names,
    readQueueNums: fc.nat(100),
    writeQueueNums: fc.nat(100),
    perm: fc.nat(15),
    topicFilterType: fc.constantFrom('SINGLE_TAG', 'MULTI_TAG'),
    topicSysFlag: fc.nat(3),
    order: fc.boolean(),
    attributes: fc.constantFrom(new Map<string, string>(), new Map([['message.type', 'FIFO']])),
  },
  { noNullPrototype: true },
)
const tables = fc.uniqueArray(configs, { selector: config => config.topicName, maxLength: 30 })

test('the scanner reads what the general reader reads', () => {
  fc.assert(
    fc.property(tables, fc.constantFrom(409, 513), (topics, version) => {
      const bytes = encode(topics, 1, version)
      const quick = read(bytes, undefined, version)
      const general = finish(readRegistration(bytes, { ...form, version }))
      assert.notEqual(quick.read, undefined, 'it is scanned')
      assert.equal(quick.count, topics.length)
      assert.deepEqual(quick.topics.map(settings), [...general.topics.values()].map(settings))
      assert.deepEqual(quick.dataVersion, general.dataVersion)
      assert.deepEqual(quick.filterServers, general.filterServers)
    }),
  )
})

test('reading only the difference from the previous body gives the same topics as reading all of it', () => {
  const changes = fc.array(fc.tuple(fc.nat(), fc.constantFrom('change', 'drop', 'insert'), configs), { maxLength: 4 })
  fc.assert(
    fc.property(tables, changes, fc.nat(100_000), (before, steps, counter) => {
      const after = [...before]
      for (const [at, kind, config] of steps) {
        const index = after.length === 0 ? 0 : at % after.length
        if (kind === 'drop') after.splice(index, 1)
        else if (kind === 'insert' && !after.some(other => other.topicName === config.topicName)) {
          after.splice(index, 0, config)
        } else if (kind === 'change' && after[index]) after[index] = { ...config, topicName: after[index].topicName }
      }
      const first = read(encode(before, 1)).read as ReadBody
      const bytes = encode(after, counter)
      const reading = read(bytes, first)
      const whole = read(bytes)
      assert.equal(reading.count, whole.count)
      assert.deepEqual(reading.read?.offsets, whole.read?.offsets)
      assert.equal(reading.read?.tableEnd, whole.read?.tableEnd)
      // The topics that were read, applied to the previous state, give the new state.
      const state = new Map(before.map(config => [config.topicName, settings(config)]))
      for (const config of reading.topics) state.set(config.topicName, settings(config))
      for (const config of whole.topics) assert.equal(state.get(config.topicName), settings(config))
    }),
    { numRuns: 500 },
  )
})

test('if one of a thousand topics has changed, at most two are read', () => {
  const topics = Array.from({ length: 1000 }, (_, i) => topic(`topic-${i}`))
  const first = read(encode(topics, 1)).read as ReadBody
  const changed = topics.with(700, topic('topic-700', 4))
  const reading = read(encode(changed, 1000), first)
  assert.ok(reading.topics.length <= 2, `${reading.topics.length} were read`)
  assert.equal(reading.topics.find(({ topicName }) => topicName === 'topic-700')?.perm, 4)
  assert.equal(reading.count, 1000)
})

test('if only the data version has changed, at most one topic is read', () => {
  const topics = Array.from({ length: 100 }, (_, i) => topic(`topic-${i}`))
  const first = read(encode(topics, 1)).read as ReadBody
  assert.ok(read(encode(topics, 2), first).topics.length <= 1)
})

test('a body that has nothing in common with the last one is read in full', () => {
  const first = read(encode([topic('a'), topic('b')], 1)).read as ReadBody
  const bytes = encode([topic('c'), topic('d')], 2)
  assert.deepEqual(
    read(bytes, first).topics.map(({ topicName }) => topicName),
    ['c', 'd'],
  )
  assert.equal(finish(differenceOf(first, Buffer.from('{}'), 1)), undefined)
})

const odd: readonly [name: string, change: (text: string) => string][] = [
  ['blanks', text => text.replaceAll(':', ': ')],
  ['escapes in a name', text => text.replaceAll('topicName":"a"', 'topicName":"\\u0061"')],
  ['single quotes', text => text.replaceAll('"', "'")],
  ['an unknown member', text => text.replaceAll('"perm"', '"what":{"x":[1]},"perm"')],
  ['a null', text => text.replaceAll('"order":false', '"order":null')],
  [
    'the same topic twice',
    text => text.replace('"topicConfigTable":{', '"topicConfigTable":{"a":{"topicName":"a","perm":2},'),
  ],
]
for (const [name, change] of odd) {
  test(`a body with ${name} is left to the general reader, with the same result`, () => {
    const bytes = Buffer.from(change(encode([topic('a'), topic('b', 4)], 7).toString()))
    const reading = read(bytes)
    const general = finish(readRegistration(bytes, form))
    assert.deepEqual(reading.topics.map(settings), [...general.topics.values()].map(settings))
    assert.deepEqual(reading.dataVersion, general.dataVersion)
    assert.equal(reading.read, undefined)
  })
}

test('a second data version after the first is not overlooked', () => {
  const text = encode([topic('a')], 7).toString()
  const twice = Buffer.from(`${text.slice(0, -2)},"dataVersion":{"counter":9,"timestamp":1}}}`)
  const reading = read(twice)
  assert.deepEqual(reading.dataVersion, finish(readRegistration(twice, form)).dataVersion)
})

test('the outline gives the data version without reading the topics', () => {
  const outline = finish(outlineOf(encode([topic('a')], 7), form))
  assert.deepEqual(outline?.dataVersion, { stateVersion: 0, timestamp: 1_700_000_000_000, counter: 7 })
  assert.deepEqual(outline?.filterServers, [])
  assert.equal(finish(outlineOf(Buffer.from('{"x":1}'), form)), undefined)
})

test('a randomly damaged body is read, or refused, as by the general reader', () => {
  const topics = Array.from({ length: 5 }, (_, i) => topic(`t${i}`, 6, new Map([['k', 'v']])))
  const good = encode(topics, 3, 513)
  const first = read(good, undefined, 513).read as ReadBody
  const attempt = (run: () => RegistrationReading) => {
    try {
      const { topics: found, dataVersion, count } = run()
      return { found: found.map(settings), dataVersion, count }
    } catch {
      return 'refused'
    }
  }
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), (at, byte) => {
      const bytes = Buffer.from(good)
      bytes[at] = byte
      const modern = { ...form, version: 513 }
      const general = attempt(() => {
        const body = finish(readRegistration(bytes, modern))
        return { ...body, topics: [...body.topics.values()], count: body.topics.size, read: undefined }
      })
      assert.deepEqual(
        attempt(() => read(bytes, undefined, 513)),
        general,
      )
      const after = attempt(() => read(bytes, first, 513))
      if (general === 'refused') assert.equal(after, 'refused')
      else assert.equal(after === 'refused' ? -1 : after.count, general.count)
    }),
    { numRuns: 2000 },
  )
})

test('a table is read in slices', () => {
  const topics = Array.from({ length: 10_000 }, (_, i) => topic(`topic-${i}`))
  const bytes = encode(topics, 1)
  const work = scanTable(bytes, bytes.indexOf('"topicConfigTable":{') + 20)
  let slices = 1
  while (work.next().done !== true) slices++
  assert.ok(slices >= 3, `${slices} slices`)
})

import assert from 'node:assert/strict'
import { readRegistration, type TopicConfig } from '@gantrymq/protocol'
import { finish, RemotingError } from '@gantrymq/remoting'
import { type FuzzTarget, goldenExchanges } from '@gantrymq/testkit'
import { kvText } from './kv-text.ts'
import { readKvConfig } from '../src/kv/kv-config-file.ts'
import type { ReadBody } from '../src/registration/body-difference.ts'
import { outlineOf, type RegistrationReading, readTopics } from '../src/registration/reader.ts'

const form = { version: 513, compressed: false, now: 0, maxTopics: 1000 }

function read(bytes: Buffer, last?: ReadBody): RegistrationReading {
  return finish(readTopics(bytes, form, last))
}

/** What a name server uses of a topic. */
const settings = ({ topicName, readQueueNums, writeQueueNums, perm, topicSysFlag, order }: TopicConfig) =>
  `${topicName} ${readQueueNums} ${writeQueueNums} ${perm} ${topicSysFlag} ${order}`

/** The scanner reads what the general reader reads, and fails only where that one fails. */
function readBody(input: Buffer): void {
  const outline = finish(outlineOf(input, form))
  const { topics, dataVersion, filterServers, count } = read(input)
  const general = finish(readRegistration(input, form))
  assert.deepEqual(new Set(topics.map(settings)), new Set([...general.topics.values()].map(settings)))
  assert.equal(count, general.topics.size)
  assert.deepEqual({ dataVersion, filterServers }, parts(general))
  if (outline !== undefined) assert.deepEqual(parts(outline), parts(general))
}

type Parts = Pick<RegistrationReading, 'dataVersion' | 'filterServers'>
const parts = ({ dataVersion, filterServers }: Parts): Parts => ({ dataVersion, filterServers })

function table(topics: readonly TopicConfig[]): Map<string, string> {
  return new Map(topics.map(topic => [topic.topicName, settings(topic)]))
}

/** Reading only the difference from a broker's last body gives the same topics as reading all of it. */
function readDifference(input: Buffer): void {
  const whole = read(input)
  for (const last of lastBodies) {
    const reading = read(input, last.read)
    assert.equal(reading.count, whole.count)
    assert.deepEqual(parts(reading), parts(whole))
    const merged = new Map([...table(last.topics), ...table(reading.topics)])
    for (const [name, topic] of table(whole.topics)) assert.equal(merged.get(name), topic)
  }
}

const registrations = goldenExchanges()
  .filter(({ name, sender }) => name === 'REGISTER_BROKER' && sender === '5.5.0')
  .map(({ request }) => request.subarray(8 + (request.readUInt32BE(4) & 0xffffff)))
  .filter(body => body[0] === 0x7b)

const lastBodies = registrations.map(bytes => read(bytes)).filter(({ read }) => read !== undefined)

function readKvFile(input: Buffer): void {
  const config = readKvConfig(input.toString())
  const written = kvText(config)
  assert.equal(kvText(readKvConfig(written)), written)
}

const words = [
  '{}":,\\\' '.split(''),
  [
    '\\u0041',
    'null',
    'true',
    '/**/',
    '$ref',
    '"perm":',
    '"readQueueNums":16',
    '"topicName":"',
    '"attributes":{"+a":"b"}',
  ],
  ['"topicConfigTable":{', '"order":true', '"T":{"topicName":"T"},'],
].flat()

const isBadBody = (error: unknown) => error instanceof RemotingError && error.code === 'BAD_BODY'

/** Everything of this package that reads what others send or write. */
export const targets: readonly FuzzTarget[] = [
  { name: 'scanned-registrations', samples: registrations, words, share: 2, read: readBody, declares: isBadBody },
  { name: 'registration-differences', samples: registrations, words, read: readDifference, declares: isBadBody },
  {
    name: 'kv-files',
    samples: [
      '{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"a:4;b:4"},"n":{"k":"v\\n\\u0001"}}}',
      '{configTable:{}}',
      '[]',
    ].map(text => Buffer.from(text)),
    words,
    read: readKvFile,
    // The text of the error goes into the log, which names the file.
    declares: error => isBadBody(error) || (error instanceof Error && error.constructor === Error),
  },
]

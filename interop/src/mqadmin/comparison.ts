import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Cluster, startCluster } from '../client/cluster.ts'
import { eventually } from '../eventually.ts'
import { type Release, skipReason } from '../launch/apache.ts'
import type { Owner } from '../launch/launched-program.ts'
import {
  changing,
  cleaning,
  GROUP,
  type MqadminCase,
  preparing,
  PRODUCERS,
  settled,
  TOPIC,
  unserved,
  watching,
  type Workplace,
} from './commands.ts'

const SENT = 4
/** What a command prints that has begun in the same millisecond as another one: Apache names its client by the time. */
const SAME_NAME = 'has created already'
/** Commands that run at a time. */
const AT_ONCE = 6
/** A Java consumer stores its offsets ten seconds after its start for the first time. */
const STORED_MS = 30_000

type Outputs = ReadonlyMap<MqadminCase, string>

const isIn = (release: Release) => (one: MqadminCase) => one.only === undefined || one.only === release

/** Runs all commands at a broker, with messages and clients in between. */
async function rehearse(owner: Owner, release: Release, broker: 'ours' | 'Apache'): Promise<Outputs> {
  const cluster = await startCluster(owner, { release, nameServer: 'ours', broker })
  const { folder, address } = cluster.broker
  await writeFile(join(folder, 'topics.json'), JSON.stringify([{ topicName: 'Listed', readQueueNums: 1, writeQueueNums: 1, perm: 6 }])) // biome-ignore format: one thought
  await writeFile(join(folder, 'groups.json'), JSON.stringify([{ groupName: 'listed-readers' }]))
  const outputs = new Map<MqadminCase, string>()
  const run = async (one: MqadminCase, place: Workplace) => {
    const [name = '', ...args] = one.args(place)
    const print = () => cluster.java.mqadmin(name, '-n', cluster.nameServers, ...args)
    let output = await print()
    while (output.includes(SAME_NAME)) output = await print()
    outputs.set(one, output)
  }
  const inOrder = async (cases: readonly MqadminCase[], place: Workplace) => {
    for (const one of cases.filter(isIn(release))) await run(one, place)
  }
  // The mqadmin of 5.5.0 sleeps for seconds at its end.
  const atOnce = async (cases: readonly MqadminCase[], place: Workplace) => {
    const waiting = cases.filter(isIn(release))
    const worker = async () => {
      for (let one = waiting.shift(); one !== undefined; one = waiting.shift()) await run(one, place)
    }
    await Promise.all(Array.from({ length: AT_ONCE }, worker))
  }
  const empty = { broker: address, folder, messageId: '', offsetMessageId: '', consumerId: '' }
  await inOrder(preparing, empty)
  const place = { ...empty, ...(await populate(owner, cluster)) }
  await atOnce(watching, place)
  await inOrder(changing, place)
  await atOnce(cleaning, place)
  await atOnce(unserved, place)
  return outputs
}

/** Sends to the topic and consumes it, and leaves the clients connected. */
async function populate(owner: Owner, cluster: Cluster): Promise<Omit<Workplace, 'broker' | 'folder'>> {
  const { java, brokerName } = cluster
  const consumer = await java.consume(owner, { group: GROUP, subscriptions: { [TOPIC]: '*' } })
  const producer = { group: PRODUCERS }
  const send = (body: string, queueId: number) =>
    java.send([{ topic: TOPIC, body, keys: ['key-2'] }], { producer, queue: { topic: TOPIC, brokerName, queueId } })
  for (const queueId of [0, 1]) await send(`hello ${queueId}`, queueId)
  const [receipt] = await send('sought', 1)
  await consumer.received.atLeast(SENT)
  await eventually(async () => {
    const offsets = await java.consumeOffsets(GROUP, TOPIC)
    assert.equal(
      offsets.reduce((sum, { consumerOffset }) => sum + consumerOffset, 0),
      SENT,
    )
  }, STORED_MS)
  const { messageId = '', offsetMessageId = '' } = receipt ?? {}
  return { messageId, offsetMessageId, consumerId: consumer.clientId }
}

const PLACE: Workplace = {
  broker: 'BROKER',
  folder: 'FOLDER',
  messageId: 'ID',
  offsetMessageId: 'ID',
  consumerId: 'CLIENT',
}

/** Runs the commands of mqadmin at our broker and at Apache's of the same line after the same actions, and compares the outputs. */
export async function mqadminComparison(release: Release): Promise<void> {
  describe(`mqadmin ${release}: our broker, compared with Apache ${release}`, { skip: await skipReason() }, () => {
    const closes: (() => Promise<void>)[] = []
    let ours: Outputs | undefined
    let apaches: Outputs | undefined
    before(async () => {
      const owner: Owner = { after: close => void closes.push(close) }
      ;[ours, apaches] = await Promise.all([rehearse(owner, release, 'ours'), rehearse(owner, release, 'Apache')])
    })
    after(async () => {
      for (const close of closes.toReversed()) await close()
    })
    const outputOf = (outputs: Outputs | undefined, one: MqadminCase) =>
      outputs?.get(one) ?? assert.fail('the commands did not run')
    const compared = [...preparing, ...watching, ...changing, ...cleaning]
    describe('output of commands', () => {
      for (const one of compared.filter(isIn(release))) {
        test(one.args(PLACE).join(' '), () => {
          const [output, apache] = [outputOf(ours, one), outputOf(apaches, one)]
          assert.match(apache, one.contains)
          assert.match(output, one.contains)
          const part = one.compare ?? settled
          assert.deepEqual(part(output), part(apache))
        })
      }
    })
    describe('refused by our broker', () => {
      for (const one of unserved.filter(isIn(release))) {
        test(one.args(PLACE).join(' '), () => {
          assert.match(outputOf(apaches, one), one.contains)
          assert.match(outputOf(ours, one), one.refusal ?? /CODE: 3 /)
        })
      }
    })
  })
}

import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Release } from '../launch/apache.ts'
import { type JavaClient, javaClient } from '../drivers/java-client.ts'
import type { Owner } from '../launch/launched-program.ts'
import { type BrokerStart, type LaunchedServer, startApacheBroker, temporaryFolder } from '../launch/launcher.ts'
import { startOurBroker } from '../launch/our-broker.ts'
import { startOurProgram } from '../launch/our-name-server.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'

/** A delay that is longer than the change from one broker to the other. */
const LEVEL = 2
const FIRST = { messageDelayLevel: '1s 25s', transactionTimeOut: 600_000, transactionCheckInterval: 600_000 }
const SECOND = {
  messageDelayLevel: '1s 25s',
  transactionTimeOut: 2000,
  transactionCheckInterval: 1000,
  // A broker counts a check also if no producer is there to answer it, and gives the message up after 15 of them by default.
  transactionCheckMax: 1000,
}
/** For 5.5.0: it writes the ends of several transactions in one message, at the latest after this time. */
const OPERATIONS = { transactionOpBatchInterval: 1000, brokerFastFailureEnable: false }
const WRITTEN_MS = 3000
const ROUTE_MS = 30_000

const makers = { ours: startOurBroker, Apache: startApacheBroker }

/** How one broker leaves a directory to the other one. */
export interface Handover {
  readonly release: Release
  readonly from: keyof typeof makers
  readonly to: keyof typeof makers
}

/**
 * Leaves a delayed message, ended transactions and an open one in the directory of a broker, and starts another broker on it: the
 * message comes at its time, the producer is asked about the open transaction only, and every message comes once.
 */
export async function handOver(owner: Owner, { release, from, to }: Handover): Promise<void> {
  const nameServer = await startOurProgram(owner)
  const nameServers = [`127.0.0.1:${nameServer.port}`]
  const start: BrokerStart = { release, nameServers, name: 'a', folder: await temporaryFolder(owner) }
  const topic = unique('kept')
  const group = unique('transactions')
  const committed = ['one', 'two', 'three', 'four']

  const first = await makers[from](owner, { ...start, properties: { ...OPERATIONS, ...FIRST } })
  const before = await producing(owner, release, nameServers, first, topic)
  await before.send([{ topic, body: 'later', delayLevel: LEVEL }])
  for (const body of committed)
    await before.transaction({ topic, body, properties: { check: 'commit' } }, 'commit', group)
  await before.transaction({ topic, body: 'never', properties: { check: 'commit' } }, 'rollback', group)
  await before.transaction({ topic, body: 'open', properties: { check: 'commit' } }, 'unknown', group)
  await delay(WRITTEN_MS)
  await first.stop()

  const second = await makers[to](owner, { ...start, properties: { ...OPERATIONS, ...SECOND } })
  const after = await producing(owner, release, nameServers, second, topic)
  await after.transaction({ topic, body: 'new', properties: { check: 'commit' } }, 'commit', group)
  const consumer = await after.consume(owner, {
    group: unique('group'),
    subscriptions: { [topic]: '*' },
    from: 'first',
  })
  await consumer.received.containing([...committed, 'new', 'open', 'later'])
  assert.deepEqual(consumer.received.texts.toSorted(), [...committed, 'later', 'new', 'open'].toSorted())
  // A busy producer is asked again before the broker has its answer.
  assert.deepEqual([...new Set(after.checked.texts)], ['open'])
}

async function producing(
  owner: Owner,
  release: Release,
  [nameServer = '']: readonly string[],
  broker: LaunchedServer,
  topic: string,
): Promise<JavaClient> {
  const java = await javaClient(owner, release, nameServer)
  await eventually(() => java.createTopic(broker.address, topic, 1), ROUTE_MS)
  return java
}

import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { RemotingClient } from '@gantrymq/remoting'
import { eventually } from '../src/eventually.ts'
import { Acknowledged, FILE_SIZES } from '../src/interchange/acknowledged.ts'
import { type Release, RELEASES, skipReason } from '../src/launch/apache.ts'
import type { Owner } from '../src/launch/launched-program.ts'
import { type BrokerStart, type LaunchedServer, startApacheBroker, temporaryFolder } from '../src/launch/launcher.ts'
import { startOurBroker } from '../src/launch/our-broker.ts'
import { startOurs } from '../src/launch/our-name-server.ts'

/** One broker on the folder, and how it ends. */
interface Session {
  readonly broker: 'ours' | 'Apache'
  readonly end: 'stop' | 'kill -9'
}

// Each broker opens what the other one left after a stop and after kill -9; the log begins with ours once, and once with
// Apache's.
const beginsWithOurs: readonly Session[] = [
  { broker: 'ours', end: 'stop' },
  { broker: 'Apache', end: 'kill -9' },
  { broker: 'ours', end: 'kill -9' },
  { broker: 'Apache', end: 'stop' },
  { broker: 'ours', end: 'stop' },
]
const beginsWithApache: readonly Session[] = [
  { broker: 'Apache', end: 'stop' },
  { broker: 'ours', end: 'kill -9' },
  { broker: 'Apache', end: 'kill -9' },
  { broker: 'ours', end: 'stop' },
  { broker: 'Apache', end: 'stop' },
]

const DEADLINE_MS = 600_000
/** The delay of the delayed messages, the start of a broker, and time for a busy machine. */
const DELAYED_MS = 20_000
const LEAST_FILES = 4

function titleOf({ broker, end }: Session, before: Session | undefined): string {
  const opens = before ? `opens what ${before.broker} left after ${before.end}` : 'begins a folder'
  return `${broker} ${opens}, serves it, writes, and ends by ${end}`
}

async function start(owner: Owner, { broker }: Session, release: Release, folder: string): Promise<LaunchedServer> {
  const nameServer = await startOurs(owner)
  const settings: BrokerStart = {
    release,
    nameServers: [`127.0.0.1:${nameServer.port}`],
    name: 'interchange-broker',
    folder,
    properties: { flushConsumerOffsetInterval: 200, ...FILE_SIZES },
  }
  return broker === 'ours' ? startOurBroker(owner, settings) : startApacheBroker(owner, settings)
}

async function play(owner: Owner, session: Session, release: Release, folder: string, acknowledged: Acknowledged) {
  const store = join(folder, 'store')
  const broker = await start(owner, session, release, folder)
  const client = new RemotingClient()
  owner.after(() => client.close())
  const peer = { client, address: broker.address }
  // A broker makes its queues and its index a moment after it has written the log.
  if (!acknowledged.isEmpty) {
    await eventually(() => acknowledged.check(peer))
    await eventually(() => acknowledged.checkDelayed(peer), DELAYED_MS)
  }
  await acknowledged.write(peer, `${session.broker}-${Date.now()}`)
  await eventually(() => acknowledged.check(peer))
  if (session.end === 'stop') await broker.stop()
  else {
    // Apache writes the offsets for the first time 10 s after its start; ours does so at once.
    if (session.broker === 'ours') await eventually(() => acknowledged.checkOffsetFile(store))
    await broker.kill()
    await acknowledged.forgetUnwrittenOffsets(store)
  }
}

async function checkFileCounts(store: string): Promise<void> {
  for (const folder of ['commitlog', 'consumequeue/exchanged/0', 'index']) {
    const { length } = await readdir(join(store, folder))
    assert.ok(length >= LEAST_FILES, `${folder} has only ${length} files`)
  }
}

for (const release of RELEASES) {
  for (const sessions of [beginsWithOurs, beginsWithApache]) {
    test(`a folder that ours and Apache ${release} use in turn, ${sessions[0]?.broker} first`, {
      skip: await skipReason(),
      timeout: DEADLINE_MS,
    }, async t => {
      const folder = await temporaryFolder({ after: close => t.after(close) })
      const acknowledged = new Acknowledged()
      for (const [index, session] of sessions.entries()) {
        let isDone = false
        await t.test(titleOf(session, sessions[index - 1]), async t => {
          await play({ after: close => t.after(close) }, session, release, folder, acknowledged)
          isDone = true
        })
        // The next broker would only fail with the same.
        if (!isDone) return
      }
      await checkFileCounts(join(folder, 'store'))
    })
  }
}

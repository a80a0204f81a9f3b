import { after } from 'node:test'
import { Producer } from '@gantrymq/client'
import { NameServer } from '@gantrymq/namesrv'
import { isFetched, skipReason } from './apache.ts'
import { startApacheBroker } from './launcher.ts'

const RELEASE = '5.5.0'
/** A broker makes its files with the first message, and Java its machine code. */
const FIRST_SEND_MS = 30_000

/** What the documents and examples use that a broker has off by default; and patience, as the machine may be busy. */
const properties = { enablePropertyFilter: true, recallMessageEnable: true, waitTimeMillsInSendQueue: 10_000 }

/** Why there is no cluster on this machine; false if there is. Nothing is downloaded for it. */
export async function clusterSkipReason(): Promise<string | false> {
  const reason = await skipReason()
  if (reason !== false || isFetched(RELEASE)) return reason
  return `Apache ${RELEASE} is not here yet: npm run interop fetches it`
}

const closers: (() => Promise<unknown>)[] = []
let started: Promise<string> | undefined

after(async () => {
  for (const close of closers.toReversed()) await close()
})

/**
 * One cluster for all tests of a process, for documents and examples that want no more than a broker: a name server of
 * ours and a broker of Apache's. Started when first asked for, ended after the tests.
 * @returns the address of the name server
 */
export function standingCluster(): Promise<string> {
  return (started ??= start())
}

async function start(): Promise<string> {
  const server = await NameServer.start({ host: '127.0.0.1', port: 0 })
  closers.push(() => server.close())
  const nameServer = `127.0.0.1:${server.address.port}`
  const owner = { after: (close: () => Promise<unknown>) => void closers.push(close) }
  await startApacheBroker(owner, { release: RELEASE, nameServers: [nameServer], name: 'broker-a', properties })
  const producer = await Producer.start({ nameServers: nameServer, group: 'warm-up', timeoutMs: FIRST_SEND_MS })
  try {
    await producer.send({ topic: 'WarmUp', body: 'first' })
  } finally {
    await producer.close()
  }
  return nameServer
}

import { after } from 'node:test'
import { Producer } from '@gantrymq/client'
import { NameServer } from '@gantrymq/namesrv'
import { isFetched, skipReason } from './apache.ts'
import { startApacheBroker } from './launcher.ts'

const RELEASE = '5.5.0'
/** With the first message a broker creates its files and Java compiles its code. */
const FIRST_SEND_MS = 30_000

/** Switches on what documents and examples use, and lets sends wait longer in case the machine is busy. */
const properties = { enablePropertyFilter: true, recallMessageEnable: true, waitTimeMillsInSendQueue: 10_000 }

/** The reason why no cluster can run on this machine; false if one can. Never downloads anything. */
export async function clusterSkipReason(): Promise<string | false> {
  const reason = await skipReason()
  if (reason !== false || isFetched(RELEASE)) return reason
  return `the jars of Apache ${RELEASE} are missing; npm run interop downloads them`
}

const closers: (() => Promise<unknown>)[] = []
let started: Promise<string> | undefined

after(async () => {
  for (const close of closers.toReversed()) await close()
})

/**
 * One cluster for all tests of a process: our name server and a broker of Apache, for documents and examples that only need
 * a broker. The first call starts it; it is closed after the tests.
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

// A name server that tells which functions ran. Started by architecture.test.ts, with a channel for messages: to each
// message it answers with what ran since the one before.
import { Session } from 'node:inspector/promises'
import { fileURLToPath } from 'node:url'
import { NameServer } from '@gantrymq/namesrv'
import { HandClock } from '@gantrymq/testkit'

/** `packages/` left out, as in ARCHITECTURE.md: file to the names of its functions that ran. */
export type Recording = Readonly<Record<string, readonly string[]>>

const session = new Session()
session.connect()
await session.post('Profiler.enable')
await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })

async function take(): Promise<Recording> {
  const { result } = await session.post('Profiler.takePreciseCoverage')
  const ours = result.filter(({ url }) => url.startsWith('file:') && /\/packages\/(?!testkit\/)/.test(url))
  return Object.fromEntries(
    ours.map(({ url, functions }) => {
      const ran = functions.filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0).map(({ functionName }) => functionName)
      return [fileURLToPath(url).replace(/^.*\/packages\//, ''), ran.filter(name => name !== '')] as const
    }),
  )
}

// No timer of the server may run in between and be taken for a part of a request.
const server = await NameServer.start({ host: '127.0.0.1', port: 0, clock: new HandClock() })
process.on('message', () => void take().then(recording => process.send?.(recording)))
process.on('disconnect', () => void server.close())
process.send?.(server.address.port)

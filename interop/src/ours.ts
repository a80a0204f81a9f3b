import { join } from 'node:path'
import * as namesrv from '@gantrymq/namesrv'
import type { Owner } from './launched.ts'
import { type Properties, temporaryFolder } from './launcher.ts'
import { freePort } from './ports.ts'
import type { RunningNameServer } from './subjects.ts'

interface Started {
  readonly address: { readonly port: number }
  close(): Promise<void>
}
type Start = (options: object) => Promise<Started>
const { NameServer } = namesrv as { NameServer?: { start: Start } }

/** Why ours cannot run, or false. */
export const oursSkip: string | false = NameServer ? false : 'not built yet'

/** Starts a name server of ours in this process; the options have Apache's property names. */
export async function startOurs(owner: Owner, properties: Properties = {}): Promise<RunningNameServer> {
  const folder = await temporaryFolder(owner)
  const port = await freePort()
  const own = {
    listenPort: port,
    kvConfigPath: join(folder, 'kvConfig.json'),
    configStorePath: join(folder, 'namesrv.properties'),
  }
  const start = () => (NameServer as { start: Start }).start({ ...own, ...properties })
  let server = await start()
  owner.after(() => server.close())
  return {
    port,
    kill: () => server.close(),
    restart: async () => void (server = await start()),
  }
}

import { join } from 'node:path'
import { NameServer } from '@gantrymq/namesrv'
import { LaunchedProgram, type Owner } from './launched-program.ts'
import {
  type LaunchedServer,
  listens,
  nameServerFiles,
  type Properties,
  type RunningNameServer,
  serve,
  temporaryFolder,
} from './launcher.ts'
import { freePort } from './ports.ts'

const program = join(import.meta.dirname, '..', '..', '..', 'packages', 'gantrymq', 'src', 'bin', 'mqnamesrv.ts')
const READY_DEADLINE_MS = 60_000

/** Starts our name server in this process. Its options have the names of Apache's properties. */
export async function startOurs(owner: Owner, properties: Properties = {}): Promise<RunningNameServer> {
  const folder = await temporaryFolder(owner)
  const port = await freePort()
  const files = { kvConfigPath: join(folder, 'kvConfig.json'), configStorePath: join(folder, 'namesrv.properties') }
  const start = () => NameServer.start({ port, host: '127.0.0.1', ...files, ...properties })
  let server = await start()
  owner.after(() => server.close())
  return {
    port,
    kill: () => server.close(),
    restart: async () => void (server = await start()),
  }
}

/** Starts our `mqnamesrv` with a configuration file in Apache's format. */
export async function startOurProgram(owner: Owner, properties: Properties = {}): Promise<LaunchedServer> {
  const { folder, port, file } = await nameServerFiles(owner, properties)
  const environment = { ...process.env, HOME: folder, ROCKETMQ_HOME: folder }
  const launch = async () =>
    new LaunchedProgram('mqnamesrv', process.execPath, [program, '-c', file], { env: environment })
  return serve(owner, { port, folder, launch, isReady: () => listens(port), deadlineMs: READY_DEADLINE_MS })
}

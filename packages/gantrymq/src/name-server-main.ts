import { homedir, hostname } from 'node:os'
import type { FoundOptions } from '@gantrymq/daemon'
import { NameServer, type NameServerOptions } from '@gantrymq/namesrv'
import type { Logger } from '@gantrymq/remoting'
import { prometheusPage } from './metrics.ts'
import { runNameServer } from './name-server-program.ts'

/** `mqnamesrv` in this process. */
export async function main(): Promise<void> {
  const exitCode = await runNameServer({
    args: process.argv.slice(2),
    environment: process.env,
    home: homedir(),
    print: line => process.stdout.write(`${line}\n`),
    complain: line => process.stderr.write(`${line}\n`),
    start,
  })
  if (exitCode !== null) process.exitCode = exitCode
}

/** How long newer clients are told to go elsewhere when nothing was said about it, milliseconds. */
const GO_AWAY_MS = 300

function goAwayOf({ enableShutdownGracefully }: NameServerOptions) {
  return enableShutdownGracefully ? {} : { goAwayMs: GO_AWAY_MS }
}

async function start({ options, unknown }: FoundOptions<NameServerOptions>, log: Logger) {
  const server = await NameServer.start({
    ...options,
    unknownKeys: unknown,
    log,
    metricsPage: source =>
      prometheusPage(source, { node_type: 'nameserver', node_id: `${hostname()}:${options.listenPort}` }),
  })
  return { port: server.address.port, close: () => server.close(goAwayOf(options)) }
}

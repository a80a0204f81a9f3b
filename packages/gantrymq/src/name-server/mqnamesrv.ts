import { NameServer, type NameServerOptions, nameServerOptions } from '@gantrymq/namesrv'
import { nameServerLabels, prometheusPage } from '../program/metrics.ts'
import type { ApacheOption, Program } from '../program/program.ts'

/** The options of Apache's mqnamesrv (its ServerUtil and NamesrvStartup). */
const apacheOptions: readonly ApacheOption<NameServerOptions>[] = [
  { short: 'c', long: 'configFile', takesValue: true, meaning: 'Name server config properties file' },
  { short: 'h', long: 'help', takesValue: false, meaning: 'Print help' },
  {
    short: 'n',
    long: 'namesrvAddr',
    takesValue: true,
    meaning: "Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'",
  },
  { short: 'p', long: 'printConfigItem', takesValue: false, meaning: 'Print all config items' },
]

/** How long a shutdown without enableShutdownGracefully tells newer clients to use another server, milliseconds. */
const GO_AWAY_MS = 300

/** The name server as a program: Apache's NamesrvStartup. */
export const mqnamesrv: Program<NameServerOptions> = {
  name: 'mqnamesrv',
  role: 'name server',
  options: nameServerOptions,
  apacheOptions,

  async start({ options, unknown }, log) {
    const labels = nameServerLabels(options.listenPort)
    const server = await NameServer.start({
      ...options,
      unknownKeys: unknown,
      log,
      metricsPage: source => prometheusPage(source, labels),
    })
    const { serializeType, bindAddress } = options
    const { port } = server.address
    return {
      port,
      bootLine: `The Name Server boot success. serializeType=${serializeType}, address ${bindAddress}:${port}`,
      get options() {
        return server.options
      },
      close: () => server.close(server.options.enableShutdownGracefully ? {} : { goAwayMs: GO_AWAY_MS }),
    }
  },
}

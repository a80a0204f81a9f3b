import { join } from 'node:path'
import { bytes, flag, host, int, never, orNone, path, ranges, seconds, text, word } from '../src/options/kinds.ts'
import { option } from '../src/options/option.ts'
import { OptionSet, type ValuesOf } from '../src/options/option-set.ts'

const servingOptions = {
  rocketmqHome: option(path(), null, 'Folder of an installation.', {
    change: 'black-listed',
    systemProperty: 'rocketmq.home.dir',
    variable: 'ROCKETMQ_HOME',
  }),
  configStorePath: option(path(), null, 'File to which run-time changes are written.', {
    change: 'black-listed',
    atHome: home => join(home, 'server.properties'),
  }),
  productEnvName: option(text(), 'center', 'Name of the environment.', { change: 'restart' }),
  orderMessageEnable: option(flag(), false, 'Add the order of queues.', { change: 'live' }),
  enableTopicList: option(flag(), true, 'Answer topic lists.', { change: 'live' }),
  waitSecondsForService: option(seconds(), 45, 'How long to wait.', { change: 'live' }),
  enableControllerInNamesrv: option(never('there is no controller here'), false, 'Run a controller.'),
  threadPoolNums: option(int(), 8, 'Threads.', { change: 'restart' }),
  configBlackList: option(text(), 'configBlackList;configStorePath', 'Keys that may not change.', {
    change: 'black-listed',
  }),
}

const socketOptions = {
  listenPort: option(int(0, 65_535), 9876, 'Port to listen on.'),
  bindAddress: option(host(), '0.0.0.0', 'Address to listen on.'),
  httpPort: option(orNone(int(0, 65_535)), null, 'Port for HTTP.'),
  proxyProtocolRanges: option(ranges(), [], 'Peers whose PROXY protocol header is trusted.'),
  maxConnections: option(int(1), 20_000, 'Most open connections.', { whyRefused: 'as it could stop answers' }),
  maxFrameSize: option(bytes(1024), 16_777_216, 'Largest frame.', {
    systemProperty: 'com.rocketmq.remoting.frameMaxLength',
  }),
  tlsServerMode: option(word('permissive', 'disabled', 'enforcing'), 'permissive', 'Whether connections use TLS.', {
    property: 'tls.server.mode',
  }),
  tlsServerKeyPath: option(path(), null, 'Private key.', { property: 'tls.server.keyPath' }),
  tlsServerKeyPassword: option(orNone(text()), null, 'Its password.', {
    property: 'tls.server.keyPassword',
    secret: true,
  }),
  logLevel: option(word('info', 'warn'), 'info', 'The lowest level that is logged.'),
}

const table = { ...servingOptions, ...socketOptions }

export type ServerOptions = ValuesOf<typeof table>

/** For tests: the options of a small server, with one of each kind. */
export const serverOptions: OptionSet<ServerOptions> = new OptionSet<ServerOptions>(table, {
  groups: { Serving: servingOptions, Sockets: socketOptions },
  ignored: new Map([['connectTimeoutMillis', "belongs to Apache's embedded client"]]),
  fileOption: 'configStorePath',
})

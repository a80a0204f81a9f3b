import {
  flag,
  host,
  int,
  millis,
  option,
  OptionSet,
  orNone,
  path,
  seconds,
  text,
  type ValuesOf,
  word,
} from '@gantrymq/daemon'

const servers = {
  bindAddress: option(
    host(),
    '127.0.0.1',
    'Address to listen on, and to tell clients. The default serves this machine only; 0.0.0.0 serves others under advertisedAddress.',
  ),
  advertisedAddress: option(
    orNone(host()),
    null,
    'Address by which clients reach this machine. None: bindAddress, or the address of a network interface if that is 0.0.0.0.',
  ),
  listenPort: option(int(0, 65_535), 9876, 'Port of the name server; 0 for any free one.'),
  brokerPort: option(int(0, 65_535), 10_911, 'Port of the broker; 0 for any free one.'),
  brokerName: option(text(), 'broker-a', 'Name of the broker.'),
  clusterName: option(text(), 'DefaultCluster', 'Name of the cluster.'),
}

const data = {
  dataDir: option(
    path(),
    'gantry-data',
    "Folder of messages, offsets, topics and groups, in Apache's file formats. It is created.",
  ),
  memory: option(flag(), false, 'Keep everything in memory only: it is gone when the program ends.'),
  configFile: option(orNone(path()), null, 'Properties file with these options.'),
}

const program = {
  logFormat: option(word('text', 'json'), 'text', "Format of log lines: text with Apache's layout, or JSON objects."),
  logLevel: option(word('debug', 'info', 'warn', 'error'), 'warn', 'The lowest level that is logged.'),
  pidFile: option(path(), null, 'File with the process id. None: no file is written.'),
  shutdownDrainMillis: option(millis(), 5000, 'Longest time that a shutdown waits for requests in progress.'),
  enableShutdownGracefully: option(flag(), false, 'At shutdown, keep serving for shutdownWaitTimeSeconds.'),
  shutdownWaitTimeSeconds: option(seconds(0, 3600), 30, 'How long enableShutdownGracefully keeps serving.'),
}

const optionTable = { ...servers, ...data, ...program }

/** Every option of the program `gantry` with its value. */
export interface StandaloneOptions extends ValuesOf<typeof optionTable> {}

export const standaloneOptions: OptionSet<StandaloneOptions> = new OptionSet<StandaloneOptions>(optionTable, {
  groups: { Servers: servers, Data: data, Program: program },
  ignored: new Map(),
  fileOption: 'configFile',
})

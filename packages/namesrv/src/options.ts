import { join } from 'node:path'
import {
  bytes,
  flag,
  int,
  millis,
  nettyServerConfig,
  never,
  ONE_THREAD,
  option,
  OptionSet,
  path,
  ranges,
  seconds,
  servingOptions,
  systemProperties,
  text,
  type ValuesOf,
  word,
} from '@gantrymq/daemon'
import { ignoredProperties } from './ignored-properties.ts'

const STOPS_ANSWERS = 'as it could stop the answers to all route queries'

/** Keys of Apache's NamesrvConfig, in its order. */
const namesrvConfig = {
  rocketmqHome: option(path(), null, 'Installation folder. Apache requires it to start; this name server does not.', {
    since: '4.9',
    change: 'black-listed',
    systemProperty: 'rocketmq.home.dir',
    variable: 'ROCKETMQ_HOME',
  }),
  kvConfigPath: option(
    path(),
    null,
    'File of the KV configuration. None: the KV configuration is kept in memory only.',
    {
      since: '4.9',
      change: 'black-listed',
      atHome: home => join(home, 'namesrv', 'kvConfig.json'),
    },
  ),
  configStorePath: option(
    path(),
    null,
    'File to which run-time changes of the configuration are written. With -c it is that file, whatever the file says.',
    { since: '4.9', change: 'black-listed', atHome: home => join(home, 'namesrv', 'namesrv.properties') },
  ),
  productEnvName: option(text(), 'center', 'Name of the environment.', {
    since: '4.9',
    change: 'restart',
    without: 'Apache uses it in clusterTest mode only',
  }),
  clusterTest: option(
    never('the clusterTest mode is not supported (it does not work in Apache 5.x either)'),
    false,
    'Ask another cluster for unknown routes.',
    { since: '4.9', change: 'restart' },
  ),
  orderMessageEnable: option(flag(), false, 'Add the order configuration of ordered topics to route answers.', {
    since: '4.9',
    change: 'live',
  }),
  returnOrderTopicConfigToBroker: option(
    flag(),
    true,
    'Send the list of ordered topics to brokers when they register.',
    {
      since: '5.x',
      change: 'live',
    },
  ),
  clientRequestThreadPoolNums: option(int(), 8, 'Threads for route queries.', {
    since: '5.x',
    change: 'restart',
    without: ONE_THREAD,
  }),
  defaultThreadPoolNums: option(int(), 16, 'Threads for all other requests.', {
    since: '5.x',
    change: 'restart',
    without: ONE_THREAD,
  }),
  clientRequestThreadPoolQueueCapacity: option(int(), 50_000, 'Route queries that may wait for a thread.', {
    since: '5.x',
    change: 'restart',
    without: ONE_THREAD,
  }),
  defaultThreadPoolQueueCapacity: option(int(), 10_000, 'Other requests that may wait for a thread.', {
    since: '5.x',
    change: 'restart',
    without: ONE_THREAD,
  }),
  scanNotActiveBrokerInterval: option(
    millis(1),
    5000,
    'How often the name server looks for brokers that have exceeded their timeout.',
    {
      since: '5.x',
      change: 'restart',
    },
  ),
  unRegisterBrokerQueueCapacity: option(int(), 3000, 'Unregister requests that may wait.', {
    since: '5.x',
    change: 'restart',
    without: 'brokers are unregistered at once',
  }),
  supportActingMaster: option(
    flag(),
    false,
    'In a group without a master, show the slave with the lowest id as the master.',
    {
      since: '5.x',
      change: 'live',
    },
  ),
  enableAllTopicList: option(flag(), true, 'Answer the query for all topics (code 206).', {
    since: '5.x',
    change: 'live',
  }),
  enableTopicList: option(flag(), true, 'Answer the other topic lists (codes 224, 311, 312, 313).', {
    since: '5.x',
    change: 'live',
  }),
  notifyMinBrokerIdChanged: option(flag(), false, 'Notify the brokers of a group when its lowest broker id changes.', {
    since: '5.x',
    change: 'live',
  }),
  enableControllerInNamesrv: option(
    never("this name server has no controller; run Apache's controller on its own"),
    false,
    'Run a controller in the same process.',
    { since: '5.x', change: 'restart' },
  ),
  needWaitForService: option(
    flag(),
    false,
    'Refuse route queries for waitSecondsForService after the start, so that brokers can register first.',
    { since: '5.x', whyRefused: STOPS_ANSWERS },
  ),
  waitSecondsForService: option(seconds(), 45, 'How long needWaitForService refuses route queries.', {
    since: '5.x',
    whyRefused: STOPS_ANSWERS,
  }),
  deleteTopicWithBrokerRegistration: option(
    flag(),
    false,
    'Delete the topics of a broker that its registration no longer lists.',
    { since: '5.x', change: 'live' },
  ),
  configBlackList: option(
    text(),
    'configBlackList;configStorePath;kvConfigPath',
    'Keys that cannot be changed at run time, separated by semicolons, in addition to those in this table.',
    { since: '4.9', change: 'black-listed' },
  ),
}

/** Options that Apache does not have. */
const ownOptions = {
  requireSignature: option(
    word('none', 'changes', 'all'),
    'none',
    "Which requests must be signed with an account of credentialsFile, as the ACL hook of Apache's clients signs: those that change something, or all.",
  ),
  credentialsFile: option(
    path(),
    null,
    'Properties file in UTF-8 with a line `accessKey=secretKey` for each account. The server reads it again when it changes.',
  ),
  unsignedBrokerRanges: option(
    ranges(),
    [],
    'Addresses from which brokers need no signature to register, send heartbeats and unregister: brokers of Apache 4.9 cannot sign.',
  ),
  maxInflatedBodySize: option(bytes(1024), 67_108_864, 'Largest inflated body of a compressed registration.'),
  maxBrokers: option(int(1), 10_000, 'Most registered brokers; the server refuses any further one.'),
  maxBrokersPerConnection: option(
    int(1),
    64,
    'Most brokers that one connection may register. A BrokerContainer registers all its brokers over one connection.',
  ),
  maxBrokersPerAddress: option(
    int(1),
    5000,
    'Most brokers that the connections from one IP address may register together.',
  ),
  maxTopicsPerRegistration: option(int(1), 100_000, 'Most topics in one registration of a broker.'),
  maxTopicNameLength: option(
    int(127, 32_767),
    512,
    'Most bytes in any name or address of a registration: topic, broker, cluster, zone, filter server, HA address.',
  ),
  maxKvConfigSize: option(
    bytes(1024),
    16_777_216,
    'Most bytes in all namespaces, keys and values of the KV configuration.',
  ),
  maxKvConfigEntries: option(int(1), 100_000, 'Most namespaces and keys of the KV configuration together.'),
  pidFile: option(path(), null, 'File with the process id, for mqshutdown. None: no file is written.', {
    atHome: home => join(home, 'namesrv', 'mqnamesrv.pid'),
  }),
}

const sockets = nettyServerConfig(9876)
const optionTable = { ...namesrvConfig, ...sockets, ...systemProperties, ...servingOptions, ...ownOptions }

/** Every option with its value. Frozen; a run-time change creates a new object. */
export interface NameServerOptions extends ValuesOf<typeof optionTable> {}

/** Every option of the name server, in the order and under the headings of the documentation. */
export const nameServerOptions: OptionSet<NameServerOptions> = new OptionSet<NameServerOptions>(optionTable, {
  groups: {
    "Name server: Apache's `NamesrvConfig`": namesrvConfig,
    "Sockets: Apache's `NettyServerConfig`": sockets,
    "Apache's system properties": systemProperties,
    'Only here': { ...servingOptions, ...ownOptions },
  },
  ignored: ignoredProperties,
  fileOption: 'configStorePath',
})

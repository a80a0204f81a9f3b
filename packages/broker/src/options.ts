import { hostname } from 'node:os'
import { join } from 'node:path'
import {
  bytes,
  flag,
  int,
  type Kind,
  millis,
  nettyServerConfig,
  never,
  option,
  OptionSet,
  orNone,
  path,
  seconds,
  servingOptions,
  systemProperties,
  text,
  type ValuesOf,
  word,
} from '@gantrymq/daemon'
import { addressesOf, type Credentials } from '@gantrymq/remoting'
import { ignoredProperties } from './ignored-properties.ts'

const NO_ACCESS_CONTROL = 'there is no access control, and without it the broker would be open to everyone'
/** Java's long, as far as it is exact. */
const long = () => millis(0, Number.MAX_SAFE_INTEGER)

/** Apache's SessionCredentials, in JSON. */
const credentials = (): Kind<Credentials> => ({
  type: 'JSON',
  expected: 'JSON such as {"accessKey":"broker","secretKey":"S"}',
  read: credentialsIn,
  print: ({ accessKey, secretKey }) => JSON.stringify({ accessKey, secretKey }),
})

function credentialsIn(json: string): Credentials | undefined {
  try {
    const { accessKey, secretKey } = JSON.parse(json) as { readonly [K in keyof Credentials]?: unknown }
    const isWhole =
      typeof accessKey === 'string' && typeof secretKey === 'string' && accessKey !== '' && secretKey !== ''
    return isWhole ? { accessKey, secretKey } : undefined
  } catch {
    return undefined
  }
}

const addressList = (): Kind<string> => ({
  ...text(),
  type: 'addresses',
  expected: 'addresses such as 10.0.0.1:9876;10.0.0.2:9876',
  read: value => (isAddressList(value) ? value : undefined),
})

function isAddressList(value: string): boolean {
  try {
    return addressesOf(value).length > 0
  } catch {
    return false
  }
}

/** The name of a broker or a cluster: Java takes an empty one, under which nothing is found. */
const nonEmpty = (): Kind<string> => {
  const kind = text()
  return {
    ...kind,
    expected: 'text that is not empty, without control characters',
    read: value => (value.trim() === '' ? undefined : kind.read(value)),
  }
}

/** Hours of the day: `04;16`. */
const hours = (): Kind<string> => ({
  ...text(),
  type: 'hours',
  expected: 'hours from 0 to 23, separated by semicolons',
  read: value => (/^(?:[01]?\d|2[0-3])(?:;(?:[01]?\d|2[0-3]))*$/.test(value) ? value : undefined),
})

/** Keys of Apache's BrokerConfig, in its order. */
const brokerConfig = {
  brokerConfigPath: option(
    path(),
    null,
    'File to which run-time changes of the configuration are written. With -c it is that file.',
    { since: '4.9', change: 'black-listed', atHome: home => join(home, 'store', 'config', 'broker.properties') },
  ),
  rocketmqHome: option(path(), null, 'Installation folder. Apache requires it to start; this broker does not.', {
    since: '4.9',
    change: 'black-listed',
    systemProperty: 'rocketmq.home.dir',
    variable: 'ROCKETMQ_HOME',
  }),
  namesrvAddr: option(
    orNone(addressList()),
    null,
    'Name servers, separated by semicolons: 10.0.0.1:9876;10.0.0.2:9876. The broker registers with all of them. None: with none.',
    { since: '4.9', systemProperty: 'rocketmq.namesrv.addr', variable: 'NAMESRV_ADDR' },
  ),
  brokerClusterName: option(nonEmpty(), 'DefaultCluster', 'Name of the cluster.', { since: '4.9' }),
  brokerName: option(
    nonEmpty(),
    'DEFAULT_BROKER',
    'Name of the broker group: a master and its slaves have the same name. A broker inside another program is DEFAULT_BROKER.',
    { since: '4.9', atHome: () => hostname(), defaultText: 'the name of the machine' },
  ),
  brokerId: option(int(), 0, 'Id within the broker group. A master always has 0, as in Apache.', {
    since: '4.9',
    without: 'there are no slaves',
  }),
  brokerIP1: option(
    orNone(text()),
    null,
    'The address that clients use, and that is stored in messages. None: the address by which a name server is reached, else one of this machine.',
    { since: '4.9' },
  ),
  brokerIP2: option(orNone(text()), null, 'The address for slaves. None: brokerIP1.', {
    since: '4.9',
    without: 'there is no replication',
  }),
  brokerPermission: option(int(0, 7), 6, 'Permission of the broker: 4 to read, 2 to write, 6 for both.', {
    since: '4.9',
    change: 'live',
  }),
  defaultTopicQueueNums: option(int(1, 1024), 8, 'Most queues of a topic that a send creates.', { since: '4.9' }),
  autoCreateTopicEnable: option(flag(), true, 'Create a topic when a producer sends the first message to it.', {
    since: '4.9',
    change: 'live',
  }),
  clusterTopicEnable: option(flag(), true, 'Whether the topic with the name of the cluster can be used.', {
    since: '4.9',
  }),
  brokerTopicEnable: option(flag(), true, 'Whether the topic with the name of the broker can be used.', {
    since: '4.9',
  }),
  autoCreateSubscriptionGroup: option(flag(), true, 'Create a consumer group at its first use.', {
    since: '4.9',
    change: 'live',
  }),
  enableCreateSysGroup: option(
    flag(),
    true,
    'Create groups whose names begin with CID_RMQ_SYS_ even if autoCreateSubscriptionGroup is off.',
    { since: '5.x', change: 'live' },
  ),
  msgTraceTopicName: option(text(), 'RMQ_SYS_TRACE_TOPIC', 'Topic of the message trace.', { since: '4.9' }),
  traceTopicEnable: option(flag(), false, 'Create the topic of the message trace at the start.', { since: '4.9' }),
  flushConsumerOffsetInterval: option(millis(100), 5000, 'How often committed offsets are written to their file.', {
    since: '4.9',
    change: 'restart',
  }),
  rejectTransactionMessage: option(flag(), false, 'Refuse half messages.', { since: '4.9', change: 'live' }),
  fetchNamesrvAddrByAddressServer: option(
    flag(),
    false,
    'Ask the address server of rmqAddressServerDomain for the name servers, if namesrvAddr is not set.',
    { since: '4.9' },
  ),
  longPollingEnable: option(
    flag(),
    true,
    'Hold pulls that find no message as long as the consumer wants. Otherwise, for shortPollingTimeMills.',
    { since: '4.9', change: 'live' },
  ),
  shortPollingTimeMills: option(millis(), 1000, 'How long pulls are held without longPollingEnable.', {
    since: '4.9',
    change: 'live',
  }),
  notifyConsumerIdsChangedEnable: option(flag(), true, 'Notify the consumers of a group when one joins or leaves.', {
    since: '4.9',
    change: 'live',
  }),
  regionId: option(text(), 'DefaultRegion', 'Name of the region, for the message trace.', {
    since: '4.9',
    change: 'live',
  }),
  registerBrokerTimeoutMills: option(
    millis(1),
    24_000,
    'How long a registration with a name server may take; Apache 4.9 waits 6,000.',
    { since: '4.9', change: 'live' },
  ),
  slaveReadEnable: option(flag(), false, 'Suggest consumers that lag behind to read from a slave.', {
    since: '4.9',
    change: 'live',
  }),
  startAcceptSendRequestTimeStamp: option(
    long(),
    0,
    'Refuse messages before this time, in milliseconds since the epoch.',
    { since: '4.9', change: 'live' },
  ),
  traceOn: option(flag(), true, 'Tell producers to trace their messages.', { since: '4.9', change: 'live' }),
  enablePropertyFilter: option(
    never('there are no filters in SQL92'),
    false,
    'Let consumers filter messages by SQL92.',
    { since: '4.9', change: 'restart' },
  ),
  compressedRegister: option(flag(), false, 'Compress registrations with name servers.', {
    since: '4.9',
    change: 'live',
  }),
  forceRegister: option(
    flag(),
    true,
    'Register with every name server each time. Otherwise, only with those that do not have the current topics.',
    { since: '4.9', change: 'live' },
  ),
  registerNameServerPeriod: option(
    millis(10_000, 60_000),
    30_000,
    'How often the broker registers, besides after changes.',
    { since: '4.9', change: 'restart' },
  ),
  updateNameServerAddrPeriod: option(millis(1000), 120_000, 'How often the list of name servers is read again.', {
    since: '5.x',
    change: 'restart',
  }),
  transactionTimeOut: option(millis(), 6000, 'How old a half message is when its producer is asked first.', {
    since: '4.9',
    change: 'live',
  }),
  transactionCheckMax: option(
    int(0),
    15,
    'How often a producer is asked about a half message before the broker gives up on it.',
    { since: '4.9', change: 'live' },
  ),
  transactionCheckInterval: option(
    millis(100),
    30_000,
    'How often the broker asks producers about half messages; Apache 4.9 every 60,000.',
    { since: '4.9', change: 'restart' },
  ),
  aclEnable: option(never(NO_ACCESS_CONTROL), false, 'Check the signatures and permissions of requests.', {
    since: '4.9',
    change: 'restart',
  }),
  authenticationEnabled: option(never(NO_ACCESS_CONTROL), false, 'Check who sends a request.', {
    since: '5.x',
    change: 'restart',
  }),
  innerClientAuthenticationCredentials: option(
    orNone(credentials()),
    null,
    'The account with which the broker signs its requests to name servers: see requireSignature there.',
    { since: '5.x', secret: true },
  ),
  authorizationEnabled: option(never(NO_ACCESS_CONTROL), false, 'Check what the sender of a request may do.', {
    since: '5.x',
    change: 'restart',
  }),
  enableControllerMode: option(
    never('there is no replication, and so no controller'),
    false,
    'Let a controller choose the master.',
    {
      since: '5.x',
    },
  ),
  recallMessageEnable: option(
    flag(),
    false,
    'Let producers cancel messages that wait for their time, if messages are kept in memory.',
    { since: '5.x', change: 'live' },
  ),
  popInflightMessageThreshold: option(
    int(1),
    10_000,
    'Messages of a queue that a group may have popped and not acknowledged; then its pops find nothing. Apache has this limit only with enablePopMessageThreshold.',
    { since: '5.x', change: 'live' },
  ),
  popFromRetryProbability: option(
    int(0, 100),
    20,
    'Of a hundred pops, how many read messages that were not acknowledged before all others.',
    { since: '5.x', change: 'live' },
  ),
  enableRetryTopicV2: option(
    flag(),
    false,
    'Name the topic of messages that were popped and not acknowledged %RETRY%group+topic, instead of %RETRY%group_topic.',
    { since: '5.x', change: 'live' },
  ),
  defaultMessageRequestMode: option(
    word('PULL', 'POP'),
    'PULL',
    'Whether consumers whose queues the broker assigns pull or pop, if no operator has set it.',
    { since: '5.x', change: 'live' },
  ),
  defaultPopShareQueueNum: option(
    int(-1),
    -1,
    'With how many further members each member of a group shares the queues that it pops; -1: all members pop all queues.',
    { since: '5.x', change: 'live' },
  ),
  storeReplyMessageEnable: option(flag(), true, 'Store the replies to requests, besides delivering them.', {
    since: '4.9',
    change: 'live',
  }),
  litePullMessageEnable: option(flag(), true, 'Serve lite pull consumers of 5.x (code 361).', {
    since: '5.x',
    change: 'live',
  }),
  rejectPullConsumerEnable: option(
    flag(),
    false,
    'Do not register consumers whose applications pull, and refuse pulls of groups that are not registered.',
    { since: '5.x', change: 'live' },
  ),
  realTimeNotifyConsumerChange: option(flag(), true, 'Notify consumers of changes at once.', {
    since: '5.x',
    change: 'restart',
    without: 'consumers are always notified at once',
  }),
  useServerSideResetOffset: option(
    flag(),
    true,
    'resetOffsetByTime changes the offsets in the broker. Otherwise, the broker tells the consumers to change them, as 4.9 does.',
    { since: '5.x', change: 'live' },
  ),
  validateSystemTopicWhenUpdateTopic: option(flag(), true, "Refuse to change the broker's own topics.", {
    since: '5.x',
    change: 'live',
  }),
  enableMixedMessageType: option(flag(), false, 'Accept topics for messages of all types (message.type=MIXED).', {
    since: '5.x',
    change: 'live',
  }),
  configBlackList: option(
    text(),
    'configBlackList;brokerConfigPath',
    'Keys that cannot be changed at run time, separated by semicolons, in addition to those in this table.',
    { since: '4.9', change: 'black-listed' },
  ),
}

/** Keys of Apache's MessageStoreConfig, in its order. */
const messageStoreConfig = {
  storePathRootDir: option(
    path(),
    null,
    'Folder of the messages and tables. None: everything is kept in memory only.',
    { since: '4.9', atHome: home => join(home, 'store') },
  ),
  storePathCommitLog: option(
    path(),
    null,
    'Folder of the commit log. None: the folder commitlog in storePathRootDir.',
    {
      since: '4.9',
    },
  ),
  mappedFileSizeCommitLog: option(bytes(65_536), 1_073_741_824, 'Size of a file of the commit log.', { since: '4.9' }),
  mappedFileSizeConsumeQueue: option(
    bytes(20),
    6_000_000,
    'Size of a file of a consume queue, rounded up to a multiple of 20.',
    { since: '4.9' },
  ),
  flushIntervalCommitLog: option(millis(1), 500, 'How often the commit log is flushed to disk with ASYNC_FLUSH.', {
    since: '4.9',
  }),
  maxMessageSize: option(bytes(1024, 134_217_728), 4_194_304, 'Largest message.', { since: '4.9', change: 'restart' }),
  deleteWhen: option(hours(), '04', 'Hours of the day at which expired files are deleted, separated by semicolons.', {
    since: '4.9',
    change: 'restart',
  }),
  fileReservedTime: option(int(1, 1_000_000), 72, 'Hours after which a file of the commit log expires.', {
    since: '4.9',
    change: 'restart',
  }),
  diskMaxUsedSpaceRatio: option(
    int(0, 100),
    75,
    'Percentage of the used disk from which on expired files are deleted at any hour.',
    {
      since: '4.9',
      change: 'restart',
    },
  ),
  diskSpaceCleanForciblyRatio: option(
    int(0, 100),
    85,
    'Percentage of the used disk above which files are deleted whatever their age.',
    { since: '4.9', change: 'restart', systemProperty: 'rocketmq.broker.diskSpaceCleanForciblyRatio' },
  ),
  diskSpaceWarningLevelRatio: option(
    int(0, 100),
    90,
    'Percentage of the used disk above which no message is accepted.',
    { since: '4.9', change: 'restart', systemProperty: 'rocketmq.broker.diskSpaceWarningLevelRatio' },
  ),
  cleanFileForciblyEnable: option(flag(), true, 'Whether files that have not expired may be deleted.', {
    since: '4.9',
    change: 'restart',
  }),
  maxTransferBytesOnMessageInMemory: option(bytes(1), 262_144, 'Most bytes in an answer to a pull from memory.', {
    since: '4.9',
    change: 'restart',
  }),
  maxTransferCountOnMessageInMemory: option(int(1), 32, 'Most messages in an answer to a pull from memory.', {
    since: '4.9',
    change: 'restart',
  }),
  maxTransferBytesOnMessageInDisk: option(bytes(1), 65_536, 'Most bytes in an answer to a pull from disk.', {
    since: '4.9',
    change: 'restart',
  }),
  maxTransferCountOnMessageInDisk: option(int(1), 8, 'Most messages in an answer to a pull from disk.', {
    since: '4.9',
    change: 'restart',
  }),
  timerMaxDelaySec: option(
    seconds(1),
    259_200,
    'How far away the time of a message may be that is delivered at a time, if messages are kept in memory.',
    { since: '5.x', change: 'live' },
  ),
  messageIndexEnable: option(flag(), true, 'Index messages by key.', { since: '4.9' }),
  maxHashSlotNum: option(int(1), 5_000_000, 'Slots of an index file.', { since: '4.9' }),
  maxIndexNum: option(int(2), 20_000_000, 'Entries of an index file.', { since: '4.9' }),
  maxMsgsNumBatch: option(int(1), 64, 'Most messages in the answer to a query by key.', {
    since: '4.9',
    change: 'restart',
  }),
  defaultQueryMaxNum: option(int(1), 32, 'Most messages in the answer to a query by unique id.', {
    since: '4.9',
    change: 'live',
  }),
  brokerRole: option(
    word('ASYNC_MASTER', 'SYNC_MASTER'),
    'ASYNC_MASTER',
    'Whether a message is acknowledged before or after it is replicated.',
    { since: '4.9', without: 'there is no replication; a broker cannot be a SLAVE' },
  ),
  flushDiskType: option(
    word('ASYNC_FLUSH', 'SYNC_FLUSH'),
    'ASYNC_FLUSH',
    'Whether a message is acknowledged when it is written (a crash of the broker loses nothing) or when it is flushed to disk (a power failure loses nothing).',
    { since: '4.9' },
  ),
  brokerFastFailureEnable: option(
    flag(),
    true,
    'Refuse sends, pulls and queries that wait for too long because the disk is too slow for them. Otherwise, they wait without limit.',
    {
      since: '4.9',
      change: 'live',
    },
  ),
  waitTimeMillsInSendQueue: option(
    millis(1),
    200,
    'How long a send waits while the disk is too slow; then its producer may take another broker.',
    {
      since: '4.9',
      change: 'live',
    },
  ),
  sendThreadPoolQueueCapacity: option(
    int(0),
    10_000,
    'How many sends wait while the disk is too slow. They may take 64 MiB of memory together.',
    {
      since: '4.9',
      change: 'live',
    },
  ),
  waitTimeMillsInPullQueue: option(
    millis(1),
    5000,
    'How long a request waits for messages from the disk; then its client may ask again later.',
    {
      since: '4.9',
      change: 'live',
    },
  ),
  syncFlushTimeout: option(millis(1), 5000, 'How long an acknowledgement waits for the flush with SYNC_FLUSH.', {
    since: '4.9',
    change: 'restart',
  }),
  enableDLegerCommitLog: option(never('there is no replication'), false, 'Replicate the commit log with DLedger.', {
    since: '4.9',
  }),
  messageDelayLevel: option(
    text(),
    '1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h',
    'The delays of the delay levels 1, 2, ...: numbers with s, m, h or d.',
    { since: '4.9' },
  ),
  flushDelayOffsetInterval: option(
    millis(100),
    10_000,
    'How often the progress of delayed messages is written to its file.',
    { since: '4.9', change: 'restart' },
  ),
}

/** Options that Apache does not have. */
const ownOptions = {
  commitLogMemory: option(
    int(16, 65_536),
    48,
    'Memory for the newest part of the commit log, and for older parts that are read, MiB.',
  ),
  maxTopics: option(int(1), 100_000, 'Most topics; a send does not create any further one.', { change: 'live' }),
  maxGroups: option(int(1), 100_000, 'Most consumer groups; their first use does not create any further one.', {
    change: 'live',
  }),
  maxGroupsPerConnection: option(
    int(1),
    1000,
    'Most groups of producers and consumers that one connection is in; a heartbeat with any further one is refused, and the others stay.',
    { change: 'live' },
  ),
  maxHeldPulls: option(
    int(1),
    200_000,
    'Most pulls that wait for messages, each with about 1.5 KB, and all with 64 MiB of subscriptions; any further one is refused with SYSTEM_BUSY.',
    {
      change: 'live',
    },
  ),
  maxColdPulls: option(
    int(1),
    10_000,
    'Most requests that wait for messages from the disk; any further one is refused with SYSTEM_BUSY.',
    { change: 'live' },
  ),
  fastListenPort: option(
    orNone(int(0, 65_535)),
    null,
    "Apache's second port, which serves everything but pulls. None: two below listenPort, or no second port if listenPort is 0.",
  ),
  rmqAddressServerDomain: option(
    text(),
    'jmenv.tbsite.net',
    'Host of the address server, with a port unless it is 8080; a key of the file, which Apache turns into a system property.',
    { systemProperty: 'rocketmq.namesrv.domain' },
  ),
  rmqAddressServerSubGroup: option(text(), 'nsaddr', 'Name of the list at the address server.', {
    systemProperty: 'rocketmq.namesrv.domain.subgroup',
  }),
  pidFile: option(path(), null, 'File with the process id, for mqshutdown. None: no file is written.', {
    atHome: home => join(home, 'store', 'mqbroker.pid'),
  }),
}

const sockets = nettyServerConfig(10_911)

const optionTable = {
  ...brokerConfig,
  ...messageStoreConfig,
  ...sockets,
  ...systemProperties,
  ...servingOptions,
  ...ownOptions,
}

/** Every option with its value. Frozen; a run-time change creates a new object. */
export interface BrokerOptions extends ValuesOf<typeof optionTable> {}

/** Every option of the broker, in the order and under the headings of the documentation. */
export const brokerOptions: OptionSet<BrokerOptions> = new OptionSet<BrokerOptions>(optionTable, {
  groups: {
    "Broker: Apache's `BrokerConfig`": brokerConfig,
    "Store: Apache's `MessageStoreConfig`": messageStoreConfig,
    "Sockets: Apache's `NettyServerConfig`": sockets,
    "Apache's system properties": systemProperties,
    'Only here': { ...servingOptions, ...ownOptions },
  },
  ignored: ignoredProperties,
  fileOption: 'brokerConfigPath',
})

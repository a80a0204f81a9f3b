import { join } from 'node:path'
import {
  bytes,
  flag,
  host,
  int,
  millis,
  never,
  option,
  OptionSet,
  orNone,
  path,
  ranges,
  seconds,
  text,
  type ValuesOf,
  word,
} from '@gantrymq/daemon'
import { ignoredProperties } from './ignored-properties.ts'

const ONE_THREAD = 'requests are answered by one thread, in the order they came'
const SOCKETS = 'Node leaves these sizes to the operating system'

/** Keys of Apache's NamesrvConfig, in its order. */
const namesrvConfig = {
  rocketmqHome: option(path(), null, 'Folder of an installation. Apache needs it to start; here it may be missing.', {
    since: '4.9',
    change: 'black-listed',
    systemProperty: 'rocketmq.home.dir',
    variable: 'ROCKETMQ_HOME',
  }),
  kvConfigPath: option(path(), null, 'File of the KV configuration. None: it is kept in memory only.', {
    since: '4.9',
    change: 'black-listed',
    atHome: home => join(home, 'namesrv', 'kvConfig.json'),
  }),
  configStorePath: option(
    path(),
    null,
    'File that run-time changes of the configuration are written to. With -c it is that file, whatever the file says.',
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
  orderMessageEnable: option(flag(), false, 'Add the order of queues of ordered topics to route answers.', {
    since: '4.9',
    change: 'live',
  }),
  returnOrderTopicConfigToBroker: option(flag(), true, 'Send the ordered topics to brokers that register.', {
    since: '5.x',
    change: 'live',
  }),
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
  scanNotActiveBrokerInterval: option(millis(1), 5000, 'How often silent brokers are looked for.', {
    since: '5.x',
    change: 'restart',
  }),
  unRegisterBrokerQueueCapacity: option(int(), 3000, 'Unregister requests that may wait.', {
    since: '5.x',
    change: 'restart',
    without: 'brokers are unregistered at once',
  }),
  supportActingMaster: option(
    flag(),
    false,
    'Offer the slave with the lowest id of a group without master as its master.',
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
  notifyMinBrokerIdChanged: option(flag(), false, 'Tell the brokers of a group when its lowest broker id changes.', {
    since: '5.x',
    change: 'live',
  }),
  enableControllerInNamesrv: option(
    never("there is no controller in this name server, run Apache's on its own"),
    false,
    'Run a controller in the same process.',
    { since: '5.x', change: 'restart' },
  ),
  needWaitForService: option(
    flag(),
    false,
    'Refuse route queries for a while after the start, until brokers are back.',
    {
      since: '5.x',
      change: 'live',
    },
  ),
  waitSecondsForService: option(seconds(), 45, 'How long that while is.', { since: '5.x', change: 'live' }),
  deleteTopicWithBrokerRegistration: option(
    flag(),
    false,
    'Drop the topics of a broker that its registration no longer lists.',
    { since: '5.x', change: 'live' },
  ),
  configBlackList: option(
    text(),
    'configBlackList;configStorePath;kvConfigPath',
    'Keys that a run-time change may not touch, separated by semicolons; added to those of this table.',
    { since: '4.9', change: 'black-listed' },
  ),
}

/** Keys of Apache's NettyServerConfig, in its order. */
const nettyServerConfig = {
  bindAddress: option(host(), '0.0.0.0', 'Address to listen on.', { since: '5.x' }),
  listenPort: option(int(0, 65_535), 9876, 'Port to listen on; 0 for any free one.', { since: '4.9' }),
  serverWorkerThreads: option(int(), 8, 'Threads for coding.', {
    since: '4.9',
    change: 'restart',
    without: ONE_THREAD,
  }),
  serverCallbackExecutorThreads: option(int(), 0, 'Threads for callbacks.', {
    since: '4.9',
    change: 'restart',
    without: ONE_THREAD,
  }),
  serverSelectorThreads: option(int(), 3, 'Threads for sockets.', {
    since: '4.9',
    change: 'restart',
    without: ONE_THREAD,
  }),
  serverOnewaySemaphoreValue: option(int(), 256, 'One-way calls of the server at a time.', {
    since: '4.9',
    change: 'restart',
    without: 'its only one-way call, the notice to brokers, waits for nothing',
  }),
  serverAsyncSemaphoreValue: option(int(), 64, 'Asynchronous calls of the server at a time.', {
    since: '4.9',
    change: 'restart',
    without: 'the name server makes none',
  }),
  serverChannelMaxIdleTimeSeconds: option(
    seconds(),
    120,
    'A connection without any traffic for so long is closed; 0 for never. A change counts for new connections.',
    { since: '4.9', change: 'live' },
  ),
  serverSocketSndBufSize: option(bytes(), 0, "Size of a socket's send buffer.", {
    since: '4.9',
    change: 'restart',
    systemProperty: 'com.rocketmq.remoting.socket.sndbuf.size',
    without: SOCKETS,
  }),
  serverSocketRcvBufSize: option(bytes(), 0, "Size of a socket's receive buffer.", {
    since: '4.9',
    change: 'restart',
    systemProperty: 'com.rocketmq.remoting.socket.rcvbuf.size',
    without: SOCKETS,
  }),
  writeBufferHighWaterMark: option(
    bytes(),
    0,
    'Reading from a peer pauses while more than so many answered bytes wait for it; 0 for 1 MiB.',
    { since: '4.9', systemProperty: 'com.rocketmq.remoting.write.buffer.high.water.mark' },
  ),
  writeBufferLowWaterMark: option(bytes(), 0, 'Below so many waiting bytes reading goes on.', {
    since: '4.9',
    change: 'restart',
    systemProperty: 'com.rocketmq.remoting.write.buffer.low.water.mark',
    without: 'reading goes on below the high water mark',
  }),
  serverSocketBacklog: option(int(1), 1024, 'Connections that may wait to be accepted. Apache 5.x ignores it.', {
    since: '4.9',
    change: 'restart',
    systemProperty: 'com.rocketmq.remoting.socket.backlog',
  }),
  serverNettyWorkerGroupEnable: option(flag(), true, 'Code in threads of their own.', {
    since: '5.x',
    change: 'restart',
    without: ONE_THREAD,
  }),
  serverPooledByteBufAllocatorEnable: option(flag(), true, 'Pool buffers.', {
    since: '4.9',
    change: 'restart',
    without: 'there is no JVM',
  }),
  enableShutdownGracefully: option(
    flag(),
    false,
    'At shutdown stay for shutdownWaitTimeSeconds and tell callers to go elsewhere (code 1500).',
    { since: '5.x', change: 'live' },
  ),
  shutdownWaitTimeSeconds: option(seconds(0, 3600), 30, 'How long that is.', { since: '5.x', change: 'live' }),
  useEpollNativeSelector: option(flag(), false, 'Use epoll.', {
    since: '4.9',
    change: 'restart',
    without: 'Node always does on Linux',
  }),
}

/** Java system properties of Apache's TlsSystemConfig and RemotingCommand. */
const systemProperties = {
  serializeType: option(
    word('JSON', 'ROCKETMQ'),
    'JSON',
    'How the headers of messages are written that the server begins itself. Answers are written as the request was.',
    {
      since: '4.9',
      property: 'rocketmq.serialize.type',
      variable: 'ROCKETMQ_SERIALIZE_TYPE',
    },
  ),
  tlsServerMode: option(
    word('permissive', 'disabled', 'enforcing'),
    'permissive',
    'Whether connections may, must not or must use TLS.',
    { since: '4.9', property: 'tls.server.mode' },
  ),
  tlsEnable: option(orNone(flag()), null, 'Whether own connections use TLS. None: only in mode enforcing.', {
    since: '4.9',
    property: 'tls.enable',
  }),
  tlsConfigFile: option(
    path(),
    null,
    'Properties file with the tls keys that follow; what it says counts most, as in Apache. None: /etc/rocketmq/tls.properties, if it exists.',
    { since: '4.9', property: 'tls.config.file' },
  ),
  tlsTestModeEnable: option(
    orNone(flag()),
    null,
    'Serve a certificate made at the start, which nobody can check. None: only if no certificate is configured; Apache does it by default.',
    { since: '4.9', property: 'tls.test.mode.enable' },
  ),
  tlsServerNeedClientAuth: option(word('none', 'optional', 'require'), 'none', 'Whether clients show a certificate.', {
    since: '4.9',
    property: 'tls.server.need.client.auth',
  }),
  tlsServerKeyPath: option(path(), null, 'Private key, PEM.', { since: '4.9', property: 'tls.server.keyPath' }),
  tlsServerKeyPassword: option(orNone(text()), null, 'Password of the private key.', {
    since: '4.9',
    property: 'tls.server.keyPassword',
    secret: true,
  }),
  tlsServerCertPath: option(path(), null, 'Certificate chain, PEM.', { since: '4.9', property: 'tls.server.certPath' }),
  tlsServerAuthClient: option(flag(), false, 'Check the certificates of clients against tls.server.trustCertPath.', {
    since: '4.9',
    property: 'tls.server.authClient',
  }),
  tlsServerTrustCertPath: option(path(), null, 'Authorities that client certificates are checked against, PEM.', {
    since: '4.9',
    property: 'tls.server.trustCertPath',
  }),
  tlsClientKeyPath: option(path(), null, 'Private key for own connections, PEM.', {
    since: '4.9',
    property: 'tls.client.keyPath',
  }),
  tlsClientKeyPassword: option(orNone(text()), null, 'Password of that key.', {
    since: '4.9',
    property: 'tls.client.keyPassword',
    secret: true,
  }),
  tlsClientCertPath: option(path(), null, 'Certificate chain for own connections, PEM.', {
    since: '4.9',
    property: 'tls.client.certPath',
  }),
  tlsClientAuthServer: option(flag(), false, 'Check the certificates of servers; otherwise any will do.', {
    since: '4.9',
    property: 'tls.client.authServer',
  }),
  tlsClientTrustCertPath: option(path(), null, 'Authorities that server certificates are checked against, PEM.', {
    since: '4.9',
    property: 'tls.client.trustCertPath',
  }),
}

/** What Apache has no option for. */
const ownOptions = {
  httpEnabled: option(flag(), true, 'Serve probes, metrics and the read-only API over HTTP.'),
  httpPort: option(
    orNone(int(0, 65_535)),
    null,
    'Port for HTTP; 0 for any free one. None: HTTP is answered on listenPort, beside the remoting protocol.',
  ),
  httpBindAddress: option(orNone(host()), null, 'Address for httpPort. None: bindAddress.'),
  proxyProtocolRanges: option(
    ranges(),
    [],
    'Peers whose PROXY protocol header (v1, v2) is believed. None: such a header is not understood. Apache 5.x believes everybody.',
  ),
  maxConnections: option(int(1), 20_000, 'Connections at a time; one more is closed at once.'),
  maxConnectionsPerAddress: option(int(1), 10_000, 'Connections at a time of one IP address.'),
  maxFrameSize: option(
    bytes(1024),
    16_777_216,
    'Largest frame, its length word counted; a larger one closes the connection.',
    {
      systemProperty: 'com.rocketmq.remoting.frameMaxLength',
    },
  ),
  maxHeaderSize: option(bytes(256, 16_777_215), 65_536, 'Largest header of a frame.'),
  maxHeaderFields: option(int(16, 256), 256, 'Fields in the header of a request.'),
  maxInflatedBodySize: option(
    bytes(1024),
    67_108_864,
    'Largest body of a compressed registration once it is inflated.',
  ),
  maxBrokers: option(int(1), 10_000, 'Registered brokers; one more is refused.'),
  maxTopicsPerRegistration: option(int(1), 100_000, 'Topics in one registration of a broker.'),
  maxTopicNameLength: option(int(127, 32_767), 512, 'Characters in the name of a topic.'),
  maxKvConfigSize: option(bytes(1024), 16_777_216, 'Characters in all names, keys and values of the KV configuration.'),
  maxRequestsInProgress: option(
    int(1),
    1024,
    'Requests of one connection being answered at a time; beyond it reading pauses.',
  ),
  maxUnreadBytes: option(
    bytes(65_536),
    67_108_864,
    'Answered bytes waiting for one peer; beyond it the peer is dropped.',
  ),
  slowReaderMillis: option(
    millis(100),
    30_000,
    'How long a peer may leave writeBufferHighWaterMark bytes unread before it is dropped.',
  ),
  slowFrameMillis: option(millis(100), 60_000, 'How long a frame may take from its first to its last byte.'),
  shutdownDrainMillis: option(millis(), 5000, 'How long at most a shutdown waits for requests in progress.', {
    change: 'live',
  }),
  pidFile: option(path(), null, 'File with the process id, for mqshutdown. None: no such file.', {
    atHome: home => join(home, 'namesrv', 'mqnamesrv.pid'),
  }),
  logFormat: option(
    word('text', 'json'),
    'text',
    "Log lines to read, laid out as Apache's, or JSON objects to collect.",
  ),
  logLevel: option(word('debug', 'info', 'warn', 'error'), 'info', 'The least important lines that are logged.'),
}

const optionTable = { ...namesrvConfig, ...nettyServerConfig, ...systemProperties, ...ownOptions }

/** Every option with its value. Frozen; a run-time change makes a new object. */
export interface NameServerOptions extends ValuesOf<typeof optionTable> {}

/** Every option of the name server, in the order and under the headings of the documentation. */
export const nameServerOptions: OptionSet<NameServerOptions> = new OptionSet<NameServerOptions>(optionTable, {
  groups: {
    "Name server: Apache's `NamesrvConfig`": namesrvConfig,
    "Sockets: Apache's `NettyServerConfig`": nettyServerConfig,
    "Apache's system properties": systemProperties,
    'Only here': ownOptions,
  },
  ignored: ignoredProperties,
  fileOption: 'configStorePath',
})

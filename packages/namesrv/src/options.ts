import { join } from 'node:path'
import {
  bytes,
  flag,
  host,
  hostNames,
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

const ONE_THREAD = 'one thread answers all requests in the order of their arrival'
const SOCKETS = 'Node leaves these sizes to the operating system'

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
    {
      since: '5.x',
      change: 'live',
    },
  ),
  waitSecondsForService: option(seconds(), 45, 'How long needWaitForService refuses route queries.', {
    since: '5.x',
    change: 'live',
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

/** Keys of Apache's NettyServerConfig, in its order. */
const nettyServerConfig = {
  bindAddress: option(host(), '0.0.0.0', 'Address to listen on.', { since: '5.x' }),
  listenPort: option(int(0, 65_535), 9876, 'Port to listen on; 0 for any free one.', { since: '4.9' }),
  serverWorkerThreads: option(int(), 8, 'Threads that encode and decode messages.', {
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
  serverOnewaySemaphoreValue: option(int(), 256, 'Most one-way calls that the server makes at a time.', {
    since: '4.9',
    change: 'restart',
    without: 'its only one-way call, the notification of brokers, is not limited',
  }),
  serverAsyncSemaphoreValue: option(int(), 64, 'Most asynchronous calls that the server makes at a time.', {
    since: '4.9',
    change: 'restart',
    without: 'the name server makes no asynchronous calls',
  }),
  serverChannelMaxIdleTimeSeconds: option(
    seconds(),
    120,
    'The server closes a connection without traffic for this long; 0 for never. A change applies to new connections.',
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
    'The server pauses reading from a connection while more than this many bytes of its replies are unsent; 0 for 1 MiB.',
    { since: '4.9', systemProperty: 'com.rocketmq.remoting.write.buffer.high.water.mark' },
  ),
  writeBufferLowWaterMark: option(bytes(), 0, 'The server resumes reading below this many unsent bytes.', {
    since: '4.9',
    change: 'restart',
    systemProperty: 'com.rocketmq.remoting.write.buffer.low.water.mark',
    without: 'reading resumes below the high water mark',
  }),
  serverSocketBacklog: option(int(1), 1024, 'Connections that may wait to be accepted. Apache 5.x ignores it.', {
    since: '4.9',
    change: 'restart',
    systemProperty: 'com.rocketmq.remoting.socket.backlog',
  }),
  serverNettyWorkerGroupEnable: option(flag(), true, 'Encode and decode messages in separate threads.', {
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
    'At shutdown, keep serving for shutdownWaitTimeSeconds and tell clients to use another server (code 1500).',
    { since: '5.x', change: 'live' },
  ),
  shutdownWaitTimeSeconds: option(seconds(0, 3600), 30, 'How long enableShutdownGracefully keeps serving.', {
    since: '5.x',
    change: 'live',
  }),
  useEpollNativeSelector: option(flag(), false, 'Use epoll.', {
    since: '4.9',
    change: 'restart',
    without: 'Node always uses epoll on Linux',
  }),
}

/** Java system properties of Apache's TlsSystemConfig and RemotingCommand. */
const systemProperties = {
  serializeType: option(
    word('JSON', 'ROCKETMQ'),
    'JSON',
    'Encoding of the headers of requests that the server sends. A reply has the encoding of its request.',
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
  tlsEnable: option(
    orNone(flag()),
    null,
    'Whether connections that the server opens use TLS. None: only in mode enforcing.',
    {
      since: '4.9',
      property: 'tls.enable',
    },
  ),
  tlsConfigFile: option(
    path(),
    null,
    'Properties file with the tls keys below. It overrides all other sources, as in Apache. None: /etc/rocketmq/tls.properties, if it exists.',
    { since: '4.9', property: 'tls.config.file' },
  ),
  tlsTestModeEnable: option(
    orNone(flag()),
    null,
    'Use a certificate that is created at the start, which clients cannot verify. None: only if no certificate is configured; Apache does so by default.',
    { since: '4.9', property: 'tls.test.mode.enable' },
  ),
  tlsServerNeedClientAuth: option(
    word('none', 'optional', 'require'),
    'none',
    'Whether clients may or must present a certificate.',
    {
      since: '4.9',
      property: 'tls.server.need.client.auth',
    },
  ),
  tlsServerKeyPath: option(path(), null, 'Private key, PEM.', { since: '4.9', property: 'tls.server.keyPath' }),
  tlsServerKeyPassword: option(orNone(text()), null, 'Password of the private key.', {
    since: '4.9',
    property: 'tls.server.keyPassword',
    secret: true,
  }),
  tlsServerCertPath: option(path(), null, 'Certificate chain, PEM.', { since: '4.9', property: 'tls.server.certPath' }),
  tlsServerAuthClient: option(flag(), false, 'Verify client certificates against tls.server.trustCertPath.', {
    since: '4.9',
    property: 'tls.server.authClient',
  }),
  tlsServerTrustCertPath: option(path(), null, 'Certificate authorities for client certificates, PEM.', {
    since: '4.9',
    property: 'tls.server.trustCertPath',
  }),
  tlsClientKeyPath: option(path(), null, 'Private key for connections that the server opens, PEM.', {
    since: '4.9',
    property: 'tls.client.keyPath',
  }),
  tlsClientKeyPassword: option(orNone(text()), null, 'Password of that key.', {
    since: '4.9',
    property: 'tls.client.keyPassword',
    secret: true,
  }),
  tlsClientCertPath: option(path(), null, 'Certificate chain for connections that the server opens, PEM.', {
    since: '4.9',
    property: 'tls.client.certPath',
  }),
  tlsClientAuthServer: option(
    flag(),
    false,
    'Verify the certificates of servers; otherwise the server accepts any certificate.',
    {
      since: '4.9',
      property: 'tls.client.authServer',
    },
  ),
  tlsClientTrustCertPath: option(path(), null, 'Certificate authorities for the certificates of servers, PEM.', {
    since: '4.9',
    property: 'tls.client.trustCertPath',
  }),
}

/** Options that Apache does not have. */
const ownOptions = {
  httpEnabled: option(flag(), true, 'Serve probes, metrics and the read-only API over HTTP.'),
  httpPort: option(
    orNone(int(0, 65_535)),
    null,
    'Port for HTTP; 0 for any free one. None: listenPort serves HTTP besides the remoting protocol.',
  ),
  httpBindAddress: option(orNone(host()), null, 'Address for httpPort. None: bindAddress.'),
  httpAllowedHosts: option(
    hostNames(),
    [],
    'Host names under which HTTP is served, besides addresses and localhost; `*.example.com` for all names below it, `*` for any name. The check protects the pages from other sites in a browser (DNS rebinding).',
  ),
  proxyProtocolRanges: option(
    ranges(),
    [],
    'Addresses of peers whose PROXY protocol header (v1, v2) the server trusts; it closes other connections with such a header. Apache 5.x trusts all peers.',
  ),
  maxConnections: option(int(1), 20_000, 'Most open connections; the server closes any further one at once.'),
  maxConnectionsPerAddress: option(int(1), 10_000, 'Most open connections from one IP address.'),
  maxFrameSize: option(
    bytes(1024),
    16_777_216,
    'Largest frame, including its length word; a larger one closes the connection.',
    {
      systemProperty: 'com.rocketmq.remoting.frameMaxLength',
    },
  ),
  maxHeaderSize: option(bytes(256, 16_777_215), 65_536, 'Largest header of a frame.'),
  maxHeaderFields: option(int(16, 256), 256, 'Most fields in the header of a request.'),
  maxInflatedBodySize: option(bytes(1024), 67_108_864, 'Largest inflated body of a compressed registration.'),
  maxBrokers: option(int(1), 10_000, 'Most registered brokers; the server refuses any further one.'),
  maxTopicsPerRegistration: option(int(1), 100_000, 'Most topics in one registration of a broker.'),
  maxTopicNameLength: option(
    int(127, 32_767),
    512,
    'Most characters in the name of a topic, broker or cluster, or in an address.',
  ),
  maxKvConfigSize: option(
    bytes(1024),
    16_777_216,
    'Most characters in all names, keys and values of the KV configuration.',
  ),
  maxRequestsInProgress: option(
    int(1),
    1024,
    'Most requests in progress on one connection; beyond that, the server pauses reading from it.',
  ),
  maxUnreadBytes: option(
    bytes(65_536),
    67_108_864,
    'Most unsent bytes of replies on one connection; beyond that, the server closes it.',
  ),
  slowReaderMillis: option(
    millis(100),
    30_000,
    'How long a peer may leave writeBufferHighWaterMark bytes unread before the server closes the connection.',
  ),
  slowFrameMillis: option(millis(100), 60_000, 'How long a frame may take from its first to its last byte.'),
  shutdownDrainMillis: option(millis(), 5000, 'Longest time that a shutdown waits for requests in progress.', {
    change: 'live',
  }),
  pidFile: option(path(), null, 'File with the process id, for mqshutdown. None: no file is written.', {
    atHome: home => join(home, 'namesrv', 'mqnamesrv.pid'),
  }),
  logFormat: option(word('text', 'json'), 'text', "Format of log lines: text with Apache's layout, or JSON objects."),
  logLevel: option(word('debug', 'info', 'warn', 'error'), 'info', 'The lowest level that is logged.'),
}

const optionTable = { ...namesrvConfig, ...nettyServerConfig, ...systemProperties, ...ownOptions }

/** Every option with its value. Frozen; a run-time change creates a new object. */
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

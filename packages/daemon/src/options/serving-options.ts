import { bytes, flag, host, hostNames, int, millis, orNone, path, ranges, seconds, text, word } from './kinds.ts'
import { option } from './option.ts'
import type { ValuesOf } from './option-set.ts'

/*
 * The options that every server has, whatever it serves: a server puts them into its own table.
 */

/** Why options about Apache's threads have no effect. */
export const ONE_THREAD = 'one thread answers all requests in the order of their arrival'
const SOCKETS = 'Node leaves these sizes to the operating system'

/**
 * Keys of Apache's NettyServerConfig, in its order.
 * @param port The default of listenPort.
 */
export const nettyServerConfig = (port: number) => ({
  bindAddress: option(host(), '0.0.0.0', 'Address to listen on.', { since: '5.x' }),
  listenPort: option(int(0, 65_535), port, 'Port to listen on; 0 for any free one.', { since: '4.9' }),
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
    without: 'the server does not limit its one-way calls',
  }),
  serverAsyncSemaphoreValue: option(int(), 64, 'Most asynchronous calls that the server makes at a time.', {
    since: '4.9',
    change: 'restart',
    without: 'each call of the server has a deadline instead',
  }),
  serverChannelMaxIdleTimeSeconds: option(
    seconds(),
    120,
    'The server closes a connection without traffic for this long; 0 for never. A change applies to all connections.',
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
})

/** Java system properties of Apache's TlsSystemConfig and RemotingCommand. */
export const systemProperties = {
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

/** Options of every server that Apache does not have. */
export const servingOptions = {
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
  maxFrameMemory: option(
    bytes(1_048_576),
    268_435_456,
    'Most bytes of unfinished frames and of requests in progress, over all connections. Beyond that, the server stops reading frames larger than 4 KiB until there is room, and closes the connections whose frames hold up others. Also the most bytes of unread replies, over all connections; beyond that, the server closes the connection that has the most of them.',
  ),
  maxHeaderSize: option(bytes(256, 16_777_215), 65_536, 'Largest header of a frame.'),
  maxHeaderFields: option(int(16, 256), 256, 'Most fields in the header of a request.'),
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
  logFormat: option(word('text', 'json'), 'text', "Format of log lines: text with Apache's layout, or JSON objects."),
  logLevel: option(word('debug', 'info', 'warn', 'error'), 'info', 'The lowest level that is logged.'),
}

/** The values of all of them. */
export type ServingOptions = ValuesOf<ReturnType<typeof nettyServerConfig>> &
  ValuesOf<typeof systemProperties> &
  ValuesOf<typeof servingOptions>

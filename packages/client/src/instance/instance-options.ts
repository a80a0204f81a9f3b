import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls'
import { type Clock, type Credentials, type Dial, type Logger, silent, systemClock } from '@gantrymq/remoting'
import type { NameServerSource } from '../routes/name-servers.ts'
import { custom, flag, type GivenOf, millis, textOption, type ValuesOf } from '../options.ts'

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null
const hasMethods =
  (...names: string[]) =>
  (value: unknown): boolean =>
    isObject(value) && names.every(name => typeof (value as Record<string, unknown>)[name] === 'function')
const isCredentials = (value: unknown): boolean => {
  if (!isObject(value)) return false
  const { accessKey, secretKey, securityToken = '' } = value as Partial<Credentials>
  return [accessKey, secretKey, securityToken].every(each => typeof each === 'string')
}
const isSource = (value: unknown): boolean =>
  typeof value === 'string' ||
  typeof value === 'function' ||
  (Array.isArray(value) && value.every(each => typeof each === 'string')) ||
  (isObject(value) && typeof (value as { url?: unknown }).url === 'string')

/** What producers, consumers and admin have in common. */
export const instanceOptions = {
  /**
   * Name servers: `10.0.0.1:9876;10.0.0.2:9876`, a list, a function that finds them, or `{ url }` of an address server.
   * Default: the environment variable NAMESRV_ADDR. Host names are resolved again and again, and at once when nobody answers.
   */
  nameServers: custom<NameServerSource | undefined>(
    undefined,
    'namesrvAddr',
    'a text such as "10.0.0.1:9876;10.0.0.2:9876", a list of such, a function, or { url }',
    isSource,
  ),
  /** Access key and secret of ACL 1.0 (4.9), user and password of 5.x. */
  credentials: custom<Credentials | undefined>(
    undefined,
    'rpcHook',
    '{ accessKey, secretKey } and perhaps securityToken, all text',
    isCredentials,
  ),
  /**
   * May add to the fields of every request, before it is signed: what Apache's RPCHook is used for. What it throws ends the
   * request.
   */
  onRequest: custom<((fields: Map<string, string>) => void) | undefined>(
    undefined,
    'rpcHook',
    'a function',
    value => typeof value === 'function',
  ),
  /** True, or Node's own TLS options (ca, cert, key, rejectUnauthorized ...), for all connections. Default off. */
  tls: custom<boolean | TlsConnectionOptions>(
    false,
    'useTLS',
    "true, false or Node's TLS options",
    value => typeof value === 'boolean' || isObject(value),
  ),
  /** Set before the names of topics and groups, and taken off again: an instance id of the cloud. */
  namespace: textOption('', 'namespace'),
  /** The namespace as 5.x brokers want it: told beside each request instead of inside names. */
  namespaceV2: textOption('', 'namespaceV2'),
  /**
   * Objects with the same name share connections, unless they are for other clusters or by who shows other credentials.
   * Default: made up, and shared by objects with the same options.
   */
  instanceName: textOption('', 'instanceName'),
  /** The address by which brokers and operators know this client. Default: the machine's own. */
  clientIp: textOption('', 'clientIP'),
  /** Part of the client's id. */
  unitName: textOption('', 'unitName'),
  /** The zone whose brokers are wanted; told beside each request. Default: the environment variable ROCKETMQ_ZONE. */
  zone: textOption(process.env['ROCKETMQ_ZONE'] ?? '', 'rocketmq.zone'),
  /** Whether name servers show only brokers of the zone. Default: the environment variable ROCKETMQ_ZONE_MODE. */
  zoneMode: textOption(process.env['ROCKETMQ_ZONE_MODE'] ?? '', 'rocketmq.zone.mode'),
  /** Sends and administration take the broker's second port, two below the first. Default false. */
  vipChannel: flag(false, 'vipChannelEnabled'),
  /** How often routes are asked for, milliseconds. Default 30,000. */
  routeRefreshMs: millis(30_000, 'pollNameServerInterval', { min: 100 }),
  /** How often brokers hear that this client lives, milliseconds; they forget it after 120,000. Default 30,000. */
  heartbeatMs: millis(30_000, 'heartbeatBrokerInterval', { min: 100, max: 100_000 }),
  /** How often the list of name servers is found anew, milliseconds. Default 120,000. */
  nameServerRefreshMs: millis(120_000, null, { min: 100 }),
  /** How long routes, heartbeats and the like may take, milliseconds. Default 3,000. */
  requestTimeoutMs: millis(3000, 'mqClientApiTimeout', { min: 1 }),
  /** How long connecting may take, milliseconds. Default 3,000. */
  connectTimeoutMs: millis(3000, 'connectTimeoutMillis', { min: 1 }),
  /** Takes what happens: `debug`, `info`, `warn`, `error`, each with fields and a text; pino fits. Default silent. */
  log: custom<Logger>(
    silent,
    null,
    'an object with debug, info, warn and error',
    hasMethods('debug', 'info', 'warn', 'error'),
  ),
  /** Where time comes from. For tests. */
  clock: custom<Clock>(
    systemClock,
    null,
    'an object with now, elapsed and every',
    hasMethods('now', 'elapsed', 'every'),
  ),
  /** Opens a stream to an address. For tests and for proxies; TLS is then its own business. */
  dial: custom<Dial | undefined>(undefined, 'socksProxyConfig', 'a function', value => typeof value === 'function'),
}

export type InstanceOptions = ValuesOf<typeof instanceOptions>

/** What every client takes. */
export type ClientOptions = GivenOf<typeof instanceOptions>

import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls'
import { type Clock, type Credentials, type Dial, type Logger, silent, systemClock } from '@gantrymq/remoting'
import type { NameServerSource } from '../routes/name-servers.ts'
import { custom, flag, type GivenOf, millis, textOption, type OptionValues } from '../options.ts'

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null
const hasMethods =
  (...names: string[]) =>
  (value: unknown): boolean =>
    isObject(value) && names.every(name => typeof (value as Record<string, unknown>)[name] === 'function')
const isCredentials = (value: unknown): boolean => {
  if (!isObject(value)) return false
  const { accessKey, secretKey, securityToken = '' } = value as Partial<Credentials>
  const areStrings = [accessKey, secretKey, securityToken].every(each => typeof each === 'string')
  return areStrings && accessKey !== '' && secretKey !== '' && !hasEdgeBlank(accessKey, secretKey, securityToken)
}
// Read from a file, a secret ends with a line feed, and every request is refused because of its signature.
const hasEdgeBlank = (...all: readonly (string | undefined)[]): boolean => all.some(each => each !== each?.trim())
const isPath = (value: unknown): boolean =>
  typeof value === 'string' && value.length < 4096 && !value.includes('-----BEGIN') && !value.includes('\n')
const hasPaths = ({ ca, cert, key, pfx }: TlsConnectionOptions): boolean => [ca, cert, key, pfx].flat().some(isPath)
const isNameServerSource = (value: unknown): boolean =>
  typeof value === 'string' ||
  typeof value === 'function' ||
  (Array.isArray(value) && value.every(each => typeof each === 'string')) ||
  (isObject(value) && typeof (value as { url?: unknown }).url === 'string')

/** The options that producers, consumers and admins have in common. */
export const instanceOptions = {
  /**
   * Name servers: `10.0.0.1:9876;10.0.0.2:9876`, an array of addresses, a function that returns either, or `{ url }` of an
   * address server. Default: the environment variable NAMESRV_ADDR. Host names are resolved again every `nameServerRefreshMs`,
   * and at once when no name server answers.
   */
  nameServers: custom<NameServerSource | undefined>(
    undefined,
    'namesrvAddr',
    'a string such as "10.0.0.1:9876;10.0.0.2:9876", an array of such strings, a function, or { url }',
    isNameServerSource,
  ),
  /** Access key and secret of ACL 1.0 (4.9), or user and password (5.x). */
  credentials: custom<Credentials | undefined>(
    undefined,
    'rpcHook',
    '{ accessKey, secretKey } and optionally securityToken, all strings, not empty, without blanks or line feeds at their ends',
    isCredentials,
  ),
  /**
   * Called with the fields of every request before the request is signed, to add some: what Apache's RPCHook is used for. If
   * it throws, the request fails with BAD_OPTION.
   */
  onRequest: custom<((fields: Map<string, string>) => void) | undefined>(
    undefined,
    'rpcHook',
    'a function',
    value => typeof value === 'function',
  ),
  /** TLS for all connections: true, or Node's TLS options (ca, cert, key, rejectUnauthorized ...). Default off. */
  tls: custom<boolean | TlsConnectionOptions>(
    false,
    'useTLS',
    "true, false or Node's TLS options; ca, cert, key and pfx are the contents of the files, readFileSync(path), not their paths",
    value => typeof value === 'boolean' || (isObject(value) && !hasPaths(value as TlsConnectionOptions)),
  ),
  /** A prefix for the names of topics and groups, removed again from names that are received: a cloud instance id. */
  namespace: textOption('', 'namespace'),
  /** The namespace for 5.x brokers: a field of each request, not part of the names. */
  namespaceV2: textOption('', 'namespaceV2'),
  /**
   * Clients with the same instance name share connections, unless their cluster or credentials differ. Default: a generated
   * name that clients with the same options share.
   */
  instanceName: textOption('', 'instanceName'),
  /** The address in the client id, which brokers and operators see. Default: the machine's own. */
  clientIp: textOption('', 'clientIP'),
  /** A suffix of the client id. */
  unitName: textOption('', 'unitName'),
  /** The zone of this client, a field of each request. Default: the environment variable ROCKETMQ_ZONE. */
  zone: textOption(process.env['ROCKETMQ_ZONE'] ?? '', 'rocketmq.zone'),
  /** `true` if name servers should return only brokers of the zone. Default: the environment variable ROCKETMQ_ZONE_MODE. */
  zoneMode: textOption(process.env['ROCKETMQ_ZONE_MODE'] ?? '', 'rocketmq.zone.mode'),
  /** Sends messages and admin requests to the broker's second port, two below the first. Default false. */
  vipChannel: flag(false, 'vipChannelEnabled'),
  /** Time between two refreshes of the routes, milliseconds. Default 30,000. */
  routeRefreshMs: millis(30_000, 'pollNameServerInterval', { min: 100 }),
  /** Time between two heartbeats to each broker, milliseconds. A broker drops a client after 120,000 without one. Default 30,000. */
  heartbeatMs: millis(30_000, 'heartbeatBrokerInterval', { min: 100, max: 100_000 }),
  /** Time between two refreshes of the name server list, milliseconds. Default 120,000. */
  nameServerRefreshMs: millis(120_000, null, { min: 100 }),
  /** Timeout of route queries, heartbeats and other requests in the background, milliseconds. Default 3,000. */
  requestTimeoutMs: millis(3000, 'mqClientApiTimeout', { min: 1 }),
  /** Timeout of connecting, milliseconds. Default 3,000. */
  connectTimeoutMs: millis(3000, 'connectTimeoutMillis', { min: 1 }),
  /**
   * The logger: methods `debug`, `info`, `warn` and `error`, each called with fields and a message, as pino's. Default: nothing is
   * logged, and only the problems of consumers are written to standard error; `false` silences these, too.
   */
  log: custom<Logger | false>(
    silent,
    null,
    'an object with debug, info, warn and error, or false',
    value => value === false || hasMethods('debug', 'info', 'warn', 'error')(value),
  ),
  /** The source of time. For tests: with another than the machine's clock, an open client does not keep the process running. */
  clock: custom<Clock>(
    systemClock,
    null,
    'an object with now, elapsed and every',
    hasMethods('now', 'elapsed', 'every'),
  ),
  /** Opens a stream to an address, with TLS if that is wanted. For tests and for proxies. */
  dial: custom<Dial | undefined>(undefined, 'socksProxyConfig', 'a function', value => typeof value === 'function'),
}

/** The endpoint of a cloud instance (NameServerAddressUtils.INST_ENDPOINT_PATTERN), with the instance id. */
const INSTANCE_ENDPOINT = /^(?:\w+:\/\/)?(MQ_INST_\w+_\w+)\./
/** The instance name that Apache's clients have if none is set. */
export const DEFAULT_INSTANCE = 'DEFAULT'

/**
 * The options by the rules that Apache's ClientConfig has besides its defaults: the namespace is the instance id in the first endpoint
 * unless one is set (getNamespace), and the name DEFAULT is replaced by one of this process, except for broadcast consumers
 * (changeInstanceNameToPID).
 */
export function asJava<S extends InstanceOptions & { readonly broadcast?: boolean }>(settings: S): S {
  const { namespace, nameServers = process.env['NAMESRV_ADDR'], instanceName, broadcast = false } = settings
  const [first] =
    typeof nameServers === 'string' ? [nameServers] : Array.isArray(nameServers) ? (nameServers as string[]) : []
  const instanceId = INSTANCE_ENDPOINT.exec(first?.trim() ?? '')?.[1] ?? ''
  const isUnnamed = instanceName === DEFAULT_INSTANCE && !broadcast
  if (!isUnnamed && (namespace !== '' || instanceId === '')) return settings
  return { ...settings, namespace: namespace === '' ? instanceId : namespace, ...(isUnnamed && { instanceName: '' }) }
}

export type InstanceOptions = OptionValues<typeof instanceOptions>

/** The options that every client takes. */
export type ClientOptions = GivenOf<typeof instanceOptions>

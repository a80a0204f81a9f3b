import { readFile } from 'node:fs/promises'
import { RemotingError } from './errors.ts'
import { type Logger, silent } from './log.ts'
import {
  BACKSLASH_ADVICE,
  hasByteOrderMark,
  latestProperties,
  losesBackslash,
  type PropertyEntry,
  readProperties,
} from './properties-file.ts'

/** Whether a port speaks TLS: never, if the client starts a TLS handshake, or always. */
export type TlsMode = 'disabled' | 'permissive' | 'enforcing'

interface TlsProperty<T> {
  /** One sentence for the documentation. */
  readonly purpose: string
  /** What a good value looks like, for errors. */
  readonly expected: string
  readonly fallback: T
  /** Undefined if the text is not a valid value. */
  readonly read: (text: string) => T | undefined
  /** True if Java reads it from a system property only, never from `tls.config.file`. */
  readonly notInFile?: boolean
}

function words<const W extends string>(
  purpose: string,
  fallback: W,
  all: readonly W[],
  notInFile = false,
): TlsProperty<W> {
  const read = (text: string): W | undefined => all.find(word => word === text.trim().toLowerCase())
  return { purpose, expected: `one of ${all.join(', ')}`, fallback, read, notInFile }
}

function yesOrNo<F extends boolean | undefined>(
  purpose: string,
  fallback: F,
  notInFile = false,
): TlsProperty<boolean | F> {
  const read = (text: string): boolean | undefined => ({ true: true, false: false })[text.trim().toLowerCase()]
  return { purpose, expected: 'true or false', fallback, read, notInFile }
}

function text(purpose: string, notInFile = false): TlsProperty<string | undefined> {
  return {
    purpose,
    expected: 'text',
    fallback: undefined,
    read: value => (value === '' ? undefined : value),
    notInFile,
  }
}

/** Java's TLS properties (TlsSystemConfig): name, default, meaning. */
export const tlsProperties = {
  'tls.server.mode': words(
    'Whether the port speaks TLS: never, if the client starts a TLS handshake, or always.',
    'permissive',
    ['disabled', 'permissive', 'enforcing'],
    true,
  ),
  'tls.enable': yesOrNo('Own connections use TLS. Default: only if the server mode is enforcing.', undefined, true),
  'tls.config.file': text('A properties file with the keys below; its values take precedence.', true),
  'tls.test.mode.enable': yesOrNo(
    'Serve a self-signed certificate, trust every server. Default: only if no certificate or trust is configured.',
    undefined,
  ),
  'tls.server.need.client.auth': words('Whether the server asks clients for a certificate.', 'none', [
    'none',
    'optional',
    'require',
  ]),
  'tls.server.keyPath': text('Private key of the server, PEM.'),
  'tls.server.keyPassword': text('Password of that key.'),
  'tls.server.certPath': text('Certificate chain of the server, PEM.'),
  'tls.server.authClient': yesOrNo('Verify the certificates of clients; otherwise any certificate is accepted.', false),
  'tls.server.trustCertPath': text('Authorities that sign client certificates, PEM.'),
  'tls.client.keyPath': text('Private key for own connections, PEM.'),
  'tls.client.keyPassword': text('Password of that key.'),
  'tls.client.certPath': text('Certificate chain for own connections, PEM.'),
  'tls.client.authServer': yesOrNo('Verify the certificates of servers; otherwise any certificate is accepted.', false),
  'tls.client.trustCertPath': text('Authorities that sign server certificates, PEM.'),
}

type TlsPropertyName = keyof typeof tlsProperties
type TlsValues = { [N in TlsPropertyName]: (typeof tlsProperties)[N] extends TlsProperty<infer T> ? T : never }

interface KeyFiles {
  readonly keyPath: string | undefined
  readonly keyPassword: string | undefined
  readonly certPath: string | undefined
  readonly trustCertPath: string | undefined
  /** If true, no files are used: a server has a self-signed certificate, and a client verifies nothing. */
  readonly testMode: boolean
}

/** How a server speaks TLS. */
export interface ServerTlsOptions extends KeyFiles {
  readonly mode: TlsMode
  readonly needClientAuth: 'none' | 'optional' | 'require'
  readonly authClient: boolean
}

/** How a client speaks TLS. */
export interface ClientTlsOptions extends KeyFiles {
  readonly enable: boolean
  readonly authServer: boolean
}

export interface TlsOptions {
  readonly server: ServerTlsOptions
  readonly client: ClientTlsOptions
}

/** Where Java looks when `tls.config.file` is not set. */
export const TLS_CONFIG_FILE = '/etc/rocketmq/tls.properties'

/**
 * The TLS options from properties named as in Java, and from the file that `tls.config.file` names, if it exists:
 * its values take precedence.
 * @param given The properties that Java reads from system properties.
 * @throws RemotingError BAD_OPTION naming the key, the file, the line and the valid values. Java reads a bad mode as permissive
 *   and a bad flag as false, so that a typing error turns protection off.
 */
export async function loadTlsOptions(given: ReadonlyMap<string, string>, log: Logger = silent): Promise<TlsOptions> {
  const values = new Map<string, Source>()
  for (const [name, value] of given) values.set(name, { value, where: '' })
  for (const [name, source] of await readConfigFile(given.get('tls.config.file'), log)) values.set(name, source)
  return arrange(readValues(values))
}

interface Source {
  readonly value: string
  readonly where: string
}

async function readConfigFile(named: string | undefined, log: Logger): Promise<Map<string, Source>> {
  const file = named ?? TLS_CONFIG_FILE
  const sources = new Map<string, Source>()
  for (const { key, value, written, line } of await entriesOf(file, named !== undefined, log)) {
    const property: TlsProperty<unknown> | undefined = isTlsProperty(key) ? tlsProperties[key] : undefined
    if (property === undefined) log.warn({ key, file, line }, 'unknown key in the TLS file is ignored')
    else if (property.notInFile) log.warn({ key, file, line }, 'this key is not read from the TLS file and is ignored')
    else if (key.endsWith('Path') && losesBackslash(written)) {
      throw new RemotingError('BAD_OPTION', `${file}, line ${line}: ${key}=${written}: ${BACKSLASH_ADVICE}`)
    } else sources.set(key, { value, where: ` (${file}, line ${line})` })
  }
  return sources
}

async function entriesOf(file: string, isNamed: boolean, log: Logger): Promise<Iterable<PropertyEntry>> {
  try {
    const bytes = await readFile(file)
    if (hasByteOrderMark(bytes)) log.warn({ file }, 'the TLS file begins with a byte order mark, which is skipped')
    return latestProperties(readProperties(bytes)).values()
  } catch (error) {
    if (error instanceof RemotingError) throw new RemotingError(error.code, `${file}: ${error.message}`)
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw new RemotingError('BAD_OPTION', `the TLS file ${file} cannot be read`, { cause: error })
    }
    if (isNamed) log.warn({ file }, 'the TLS file does not exist, it is ignored')
    return []
  }
}

function isTlsProperty(name: string): name is TlsPropertyName {
  return Object.hasOwn(tlsProperties, name)
}

function readValues(sources: ReadonlyMap<string, Source>): TlsValues {
  const values: Record<string, unknown> = {}
  for (const [name, { expected, fallback, read }] of Object.entries<TlsProperty<unknown>>(tlsProperties)) {
    const source = sources.get(name)
    const value = source === undefined || source.value === '' ? fallback : read(source.value)
    if (value === undefined && source !== undefined && source.value !== '') {
      throw new RemotingError('BAD_OPTION', `${name}: "${source.value}" is not ${expected}${source.where}`)
    }
    values[name] = value
  }
  return values as TlsValues
}

function arrange(values: TlsValues): TlsOptions {
  const testMode = values['tls.test.mode.enable']
  const mode = values['tls.server.mode']
  const server = {
    keyPath: values['tls.server.keyPath'],
    keyPassword: values['tls.server.keyPassword'],
    certPath: values['tls.server.certPath'],
    trustCertPath: values['tls.server.trustCertPath'],
    authClient: values['tls.server.authClient'],
  }
  const client = {
    keyPath: values['tls.client.keyPath'],
    keyPassword: values['tls.client.keyPassword'],
    certPath: values['tls.client.certPath'],
    trustCertPath: values['tls.client.trustCertPath'],
    authServer: values['tls.client.authServer'],
  }
  // Java's default is true even if files are named; then a configured certificate is never used.
  return {
    server: {
      ...server,
      mode,
      testMode: testMode ?? !isConfigured(server),
      needClientAuth: values['tls.server.need.client.auth'],
    },
    client: {
      ...client,
      testMode: testMode ?? !isConfigured(client),
      enable: values['tls.enable'] ?? mode === 'enforcing',
    },
  }
}

function isConfigured(files: Readonly<Record<string, string | boolean | undefined>>): boolean {
  return Object.values(files).some(value => value !== undefined && value !== false)
}

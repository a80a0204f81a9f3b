import { AsyncLocalStorage } from 'node:async_hooks'
import { readFile } from 'node:fs/promises'
import type { Duplex } from 'node:stream'
import type { ConnectionOptions, SecureContextOptions, Server, TLSSocket } from 'node:tls'
import { crypto, tls } from './builtin.ts'
import { type Clock, systemClock } from './clock.ts'
import { RemotingError } from './errors.ts'
import { type Logger, silent } from './log.ts'
import { selfSigned } from './self-signed.ts'
import type { ClientTlsOptions, ServerTlsOptions, TlsMode } from './tls-options.ts'

/** How often the files are checked, as by Java's FileWatchService. Milliseconds. */
const WATCH_MS = 500

interface Handshake {
  resolve(socket: TLSSocket): void
  reject(error: Error): void
}

/**
 * The server's side of TLS: its key, its certificate and the authorities it trusts. They are reloaded when their files change;
 * an open connection keeps those it began with.
 */
export class ServerTls {
  readonly #options: ServerTlsOptions
  readonly #log: Logger
  #context: SecureContextOptions
  /** Created for the first client that speaks TLS. */
  #server: Server | undefined
  // The event of a finished handshake does not name the stream it began on; the async context connects the two.
  readonly #handshake = new AsyncLocalStorage<Handshake>()
  #watch: Disposable | undefined
  #seen: TlsFiles
  #checking: Promise<boolean> | undefined

  /**
   * Reads the files.
   * @throws RemotingError TLS or BAD_OPTION if they are incomplete, unreadable or do not belong together.
   */
  static async open(
    options: ServerTlsOptions,
    { clock = systemClock, log = silent }: { readonly clock?: Clock; readonly log?: Logger } = {},
  ): Promise<ServerTls> {
    const files = options.testMode || options.mode === 'disabled' ? noFiles : await readServerFiles(options)
    const context = files === noFiles ? {} : secureContext(files, options)
    const opened = new ServerTls(options, files, context, log)
    if (files !== noFiles) opened.#watch = clock.every(WATCH_MS, () => void opened.reload())
    else if (options.certPath !== undefined && options.mode !== 'disabled') {
      log.warn({ certPath: options.certPath }, 'tls.test.mode.enable is true: the configured certificate is not used')
    }
    return opened
  }

  private constructor(options: ServerTlsOptions, files: TlsFiles, context: SecureContextOptions, log: Logger) {
    this.#options = options
    this.#seen = files
    this.#context = context
    this.#log = log
  }

  get mode(): TlsMode {
    return this.#options.mode
  }

  /**
   * Performs the handshake with a client. The first bytes of the handshake must still be in the stream.
   * Never settles if the stream closes without an error: the owner of the stream sees that.
   * @throws RemotingError TLS
   */
  accept(stream: Duplex): Promise<TLSSocket> {
    if (this.#options.testMode && this.#seen === noFiles) this.#useSelfSigned()
    const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>()
    this.#handshake.run({ resolve, reject }, () => this.#createdServer().emit('connection', stream))
    return promise
  }

  /** Uses changed files for new connections. True if the files have changed. Files that cannot be used change nothing. */
  reload(): Promise<boolean> {
    return (this.#checking ??= this.#reload().finally(() => (this.#checking = undefined)))
  }

  /** Stops watching the files. Connections stay open. */
  close(): void {
    this.#watch?.[Symbol.dispose]()
    this.#watch = undefined
  }

  [Symbol.dispose](): void {
    this.close()
  }

  #createdServer(): Server {
    if (this.#server !== undefined) return this.#server
    const { testMode, needClientAuth } = this.#options
    const requestCert = !testMode && needClientAuth !== 'none'
    const server = tls().createServer({ ...this.#context, requestCert, rejectUnauthorized: false })
    server.on('secureConnection', socket => this.#onSecure(socket))
    server.on('tlsClientError', error => this.#handshake.getStore()?.reject(handshakeError(error)))
    this.#server = server
    return server
  }

  #use(context: SecureContextOptions): void {
    this.#context = context
    this.#server?.setSecureContext(context)
  }

  #useSelfSigned(): void {
    // Created on demand: most servers never see TLS.
    const { key, cert } = selfSigned()
    this.#use({ key, cert })
    this.#seen = { ...noFiles, digest: 'self-signed' }
    this.#log.warn(
      { mode: this.mode },
      'TLS uses a self-signed certificate: connections are encrypted, but clients cannot verify the server',
    )
  }

  async #reload(): Promise<boolean> {
    try {
      const files = await readServerFiles(this.#options)
      const before = this.#seen
      if (files.digest === before.digest) return false
      this.#seen = files
      this.#use(secureContext(files, this.#options))
      const what =
        files.key === before.key && files.cert === before.cert ? 'trust certificate' : 'certificate and private key'
      this.#log.info({ certPath: this.#options.certPath }, `The ${what} changed, reload the ssl context`)
      return true
    } catch (error) {
      // Half of a pair has changed, or a file is being written: the next check sees the rest.
      this.#warnOnce(error as Error)
      return false
    }
  }

  #warned = ''

  #warnOnce(error: Error): void {
    const text = `${this.#seen.digest} ${error.message}`
    if (text === this.#warned) return
    this.#warned = text
    this.#log.warn({ err: error }, 'the changed TLS files cannot be used, the ssl context stays as it was')
  }

  #onSecure(socket: TLSSocket): void {
    const handshake = this.#handshake.getStore()
    const refusal = this.#refusalOf(socket)
    if (handshake === undefined) socket.destroy()
    else if (refusal === undefined) handshake.resolve(socket)
    // The owner destroys the stream; it must get the reason before it sees the stream close.
    else handshake.reject(new RemotingError('TLS', refusal))
  }

  #refusalOf(socket: TLSSocket): string | undefined {
    const { needClientAuth, authClient, testMode } = this.#options
    if (testMode || needClientAuth === 'none') return undefined
    if (socket.getPeerX509Certificate() === undefined) {
      return needClientAuth === 'require' ? 'the client presented no certificate' : undefined
    }
    if (authClient && !socket.authorized)
      return `the client's certificate is not trusted: ${String(socket.authorizationError)}`
    return undefined
  }
}

interface TlsFiles {
  readonly key: string
  readonly cert: string
  readonly trust: string | undefined
  readonly digest: string
}

const noFiles: TlsFiles = { key: '', cert: '', trust: undefined, digest: '' }

async function readServerFiles(options: ServerTlsOptions): Promise<TlsFiles> {
  const { keyPath, certPath, trustCertPath, mode } = options
  if (keyPath === undefined || certPath === undefined) {
    const missing = keyPath === undefined ? 'tls.server.keyPath' : 'tls.server.certPath'
    const hint = 'set it, or tls.test.mode.enable=true, or tls.server.mode=disabled'
    throw new RemotingError('BAD_OPTION', `tls.server.mode is ${mode}, but ${missing} is not set: ${hint}`)
  }
  const [key, cert, trust] = await Promise.all([
    readPem(keyPath),
    readPem(certPath),
    trustCertPath ? readPem(trustCertPath) : undefined,
  ])
  return {
    key,
    cert,
    trust,
    digest: crypto()
      .createHash('sha256')
      .update(JSON.stringify([key, cert, trust]))
      .digest('hex'),
  }
}

async function readPem(file: string): Promise<string> {
  try {
    return await readFile(file, 'latin1')
  } catch (error) {
    throw new RemotingError('TLS', `the TLS file ${file} cannot be read`, { cause: error })
  }
}

function secureContext(
  { key, cert, trust }: TlsFiles,
  { keyPath, keyPassword, certPath, authClient }: ServerTlsOptions,
) {
  const ca = authClient ? trust : undefined
  const options: SecureContextOptions = {
    key,
    cert,
    ...(keyPassword === undefined ? {} : { passphrase: keyPassword }),
    ...(ca === undefined ? {} : { ca }),
  }
  checkPair(options, `${certPath} and ${keyPath}`)
  return options
}

/** Detects that key and certificate do not belong together. OpenSSL may detect this only at the first handshake. */
function checkPair(options: SecureContextOptions, names: string): void {
  let fits: boolean
  try {
    tls().createSecureContext(options)
    const key = crypto().createPrivateKey({
      key: options.key as string,
      ...(options.passphrase ? { passphrase: options.passphrase } : {}),
    })
    const { X509Certificate } = crypto()
    fits = new X509Certificate(options.cert as string).checkPrivateKey(key)
  } catch (error) {
    throw new RemotingError('TLS', `${names} cannot be used: ${(error as Error).message}`, { cause: error })
  }
  if (!fits) throw new RemotingError('TLS', `${names} do not belong together`)
}

function handshakeError(error: Error): RemotingError {
  const reason = (error as { readonly reason?: string }).reason ?? error.message
  return new RemotingError('TLS', `the TLS handshake failed: ${reason}`, { cause: error })
}

/** The options of `node:tls` for connecting to a server; files are read once. Host names are not checked, as in Java. */
export async function clientTls(options: ClientTlsOptions): Promise<ConnectionOptions> {
  const checkServerIdentity = (): undefined => undefined
  if (options.testMode) return { rejectUnauthorized: false, checkServerIdentity }
  const { keyPath, certPath, trustCertPath, keyPassword, authServer } = options
  if ((keyPath === undefined) !== (certPath === undefined)) {
    throw new RemotingError(
      'BAD_OPTION',
      'tls.client.keyPath and tls.client.certPath belong together: set both or none',
    )
  }
  const pair: SecureContextOptions =
    keyPath && certPath ? { key: await readPem(keyPath), cert: await readPem(certPath) } : {}
  if (keyPassword !== undefined) pair.passphrase = keyPassword
  if (pair.key !== undefined) checkPair(pair, `${certPath} and ${keyPath}`)
  const trust = authServer && trustCertPath ? { ca: await readPem(trustCertPath) } : {}
  return { ...pair, ...trust, rejectUnauthorized: authServer, checkServerIdentity }
}

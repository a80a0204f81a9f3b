import { readFile, stat } from 'node:fs/promises'
import { type Clock, type Logger, RemotingError, silent } from '@gantrymq/remoting'
import type { NameServerOptions } from '../options.ts'
import { readCredentials } from './credentials.ts'

/** How often the file is read again. Milliseconds. */
const WATCH_MS = 1000
/** Largest file, bytes: some ten thousand accounts. */
const MAX_SIZE = 1 << 20
const OTHERS_MAY_READ = 0o004

/**
 * The accounts in a file, which is read again when it changes, as Apache's AclFileWatchService does. A changed file that cannot
 * be used changes nothing.
 */
export class CredentialsFile {
  readonly #path: string
  readonly #log: Logger
  #text: Buffer
  #secrets: ReadonlyMap<string, string>
  #watching: Disposable | undefined
  #reloading: Promise<boolean> | undefined
  #warned = ''

  /**
   * Reads the file.
   * @throws RemotingError BAD_OPTION naming the file and, if there is one, the line.
   */
  static async open(path: string, log: Logger = silent): Promise<CredentialsFile> {
    try {
      const text = await readAccounts(path)
      const file = new CredentialsFile(path, text, log)
      log.info({ path, accounts: file.#secrets.size }, 'credentials loaded')
      await warnIfOpen(path, log)
      return file
    } catch (error) {
      throw new RemotingError('BAD_OPTION', `credentialsFile ${path}: ${(error as Error).message}`, { cause: error })
    }
  }

  private constructor(path: string, text: Buffer, log: Logger) {
    this.#path = path
    this.#text = text
    this.#log = log
    this.#secrets = readCredentials(text)
  }

  /** The secret key of an access key; undefined if there is no such account. */
  readonly secretKeyOf = (accessKey: string): string | undefined => this.#secrets.get(accessKey)

  /** Reads the file again every second. */
  watch(clock: Clock): void {
    this.#watching ??= clock.every(WATCH_MS, () => void this.reload())
  }

  /** Uses the file as it is now. True if it has changed and can be used. */
  reload(): Promise<boolean> {
    return (this.#reloading ??= this.#reload().finally(() => (this.#reloading = undefined)))
  }

  /** Stops watching the file. */
  close(): void {
    this.#watching?.[Symbol.dispose]()
    this.#watching = undefined
  }

  async #reload(): Promise<boolean> {
    try {
      const text = await readAccounts(this.#path)
      if (text.equals(this.#text)) return false
      this.#secrets = readCredentials(text)
      this.#text = text
      this.#warned = ''
      this.#log.info({ path: this.#path, accounts: this.#secrets.size }, 'credentials reloaded')
      return true
    } catch (error) {
      this.#warnOnce((error as Error).message)
      return false
    }
  }

  #warnOnce(reason: string): void {
    if (reason === this.#warned) return
    this.#warned = reason
    this.#log.error(
      { path: this.#path, reason },
      'the changed credentials cannot be used, the accounts stay as they were',
    )
  }
}

/**
 * Opens the accounts that requireSignature needs; undefined if no request must be signed.
 * @throws RemotingError BAD_OPTION
 */
export async function openCredentials(
  {
    requireSignature,
    credentialsFile,
    unsignedBrokerRanges,
  }: Pick<NameServerOptions, 'requireSignature' | 'credentialsFile' | 'unsignedBrokerRanges'>,
  log: Logger,
): Promise<CredentialsFile | undefined> {
  if (requireSignature === 'none') {
    if (credentialsFile !== null || unsignedBrokerRanges.length > 0) {
      log.warn({ credentialsFile }, 'credentialsFile and unsignedBrokerRanges have no effect: requireSignature is none')
    }
    return undefined
  }
  if (credentialsFile !== null) return CredentialsFile.open(credentialsFile, log)
  const hint = 'set it to a file with a line accessKey=secretKey for each account'
  throw new RemotingError(
    'BAD_OPTION',
    `requireSignature is ${requireSignature}, but credentialsFile is not set: ${hint}`,
  )
}

async function readAccounts(path: string): Promise<Buffer> {
  const { size } = await stat(path)
  if (size > MAX_SIZE) throw new Error(`it has ${size} bytes, the limit is ${MAX_SIZE}`)
  return readFile(path)
}

async function warnIfOpen(path: string, log: Logger): Promise<void> {
  const { mode } = await stat(path)
  if (process.platform === 'win32' || (mode & OTHERS_MAY_READ) === 0) return
  log.warn({ path, mode: (mode & 0o777).toString(8) }, 'every user of this machine may read the credentials: chmod 600')
}

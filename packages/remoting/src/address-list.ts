import { isIP } from 'node:net'
import { askAddressServer } from './address-server.ts'
import { dns } from './builtin.ts'
import type { Clock } from './clock.ts'
import { RemotingError } from './errors.ts'
import { within } from './waits.ts'

/** One or more addresses: `10.0.0.1:9876;10.0.0.2:9876`, or an array of them. */
export type Addresses = string | readonly string[]

/**
 * Where addresses come from: a list, a function that returns one, or the URL of an address server, which answers a GET request
 * with the list.
 */
export type AddressSource = Addresses | (() => Addresses | Promise<Addresses>) | { readonly url: string }

export interface AddressListOptions {
  /** If undefined, the list is empty. */
  readonly source: AddressSource | undefined
  readonly clock: Clock
  /** What the addresses belong to, such as `the name servers`; for error texts. */
  readonly what: string
  /** How often the list is refreshed, milliseconds. */
  readonly refreshMs: number
  /**
   * Returns all addresses of a host name. Null leaves host names in the list, to be resolved when a connection is opened, as TLS
   * needs the name. Default: the system's resolver.
   */
  readonly resolve?: ((host: string) => Promise<readonly string[]>) | null | undefined
  /** Queries an address server. Default `askAddressServer`. */
  readonly fetchText?: ((url: string) => Promise<string>) | undefined
  /** Called when the members of the list have changed. */
  readonly onChange?: (addresses: readonly string[]) => void
  /** Called when a refresh has failed; the addresses stay as they were. */
  readonly onFailure?: (problem: Error) => void
}

/** How long a refresh may take, including the lookup of all host names in the list, milliseconds. */
const FIND_MS = 6000

/** A list of server addresses that is refreshed periodically. Owns the timer of the refresh. */
export class AddressList {
  readonly #options: AddressListOptions
  #addresses: readonly string[] = []
  /** The addresses that each entry of the list last resolved to. */
  #resolved: ReadonlyMap<string, readonly string[]> = new Map()
  #problem: Error | undefined
  #timer: Disposable | undefined
  #refreshing: Promise<void> | undefined
  #lastRefreshAt = Number.NEGATIVE_INFINITY
  /** Ends a refresh when the list is closed. */
  readonly #end = new AbortController()

  /** @throws RemotingError BAD_OPTION if the source is a list with something that is not an address */
  constructor(options: AddressListOptions) {
    this.#options = options
    const { source } = options
    if (typeof source === 'string' || Array.isArray(source)) addressesOf(source as Addresses)
  }

  /** The addresses that were found last, without duplicates. */
  get addresses(): readonly string[] {
    return this.#addresses
  }

  /** Why the last refresh failed; undefined if it succeeded. */
  get problem(): Error | undefined {
    return this.#problem
  }

  /** When the last refresh began, by `Clock.elapsed`. */
  get lastRefreshAt(): number {
    return this.#lastRefreshAt
  }

  get isClosed(): boolean {
    return this.#end.signal.aborted
  }

  /** Refreshes the list at once, then again every `refreshMs`. Never rejects: after a failure, the next refresh tries again. */
  async start(): Promise<void> {
    await this.refresh()
    if (this.isClosed) return
    const { clock, refreshMs } = this.#options
    this.#timer = clock.every(refreshMs, () => void this.refresh())
  }

  /** Ends a running refresh and stops the timer. The addresses stay as they are. */
  close(): void {
    this.#end.abort()
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
  }

  /** Refreshes the list. Never rejects: see `problem`. */
  refresh(): Promise<void> {
    return (this.#refreshing ??= this.#find().finally(() => (this.#refreshing = undefined)))
  }

  async #find(): Promise<void> {
    const { clock, what, onFailure } = this.#options
    this.#lastRefreshAt = clock.elapsed()
    const limit = { timeoutMs: FIND_MS, signal: this.#end.signal }
    try {
      // A user's function or a resolver may never settle.
      const found = await within(clock, this.#read(), limit, `finding ${what}`)
      this.#problem = undefined
      if (found.length > 0 && !sameMembers(found, this.#addresses)) this.#replace(found)
    } catch (error) {
      if (this.isClosed) return
      this.#problem = error instanceof Error ? error : new Error(String(error))
      onFailure?.(this.#problem)
    }
  }

  #replace(found: readonly string[]): void {
    this.#addresses = found
    this.#options.onChange?.(found)
  }

  async #read(): Promise<string[]> {
    const { source, resolve = resolveHost } = this.#options
    const listed = addressesOf(await this.#listOf(source))
    if (resolve === null) return [...new Set(listed)]
    const expanded = await Promise.all(
      listed.map(async address => {
        const found = await expand(address, resolve)
        // A name that does not resolve now keeps its last addresses. Without any, the name stays in the list, and the attempt to
        // connect to it reports the reason.
        return [address, found ?? this.#resolved.get(address) ?? [address]] as const
      }),
    )
    this.#resolved = new Map(expanded)
    return [...new Set(expanded.flatMap(([, addresses]) => addresses))]
  }

  #listOf(source: AddressSource | undefined): Addresses | Promise<Addresses> {
    if (source === undefined) return []
    if (typeof source === 'function') return source()
    if (typeof source === 'string' || Array.isArray(source)) return source as Addresses
    return (this.#options.fetchText ?? askAddressServer)((source as { url: string }).url)
  }
}

/**
 * The addresses in a list, in its order. Cloud consoles show an address as `http://host:port`; the scheme is removed.
 * @throws RemotingError BAD_OPTION that quotes what cannot be an address, and says what to write instead
 */
export function addressesOf(list: Addresses): string[] {
  const items = typeof list === 'string' ? list.split(/[;,\n\r]/) : list
  return items
    .map(item => item.trim())
    .filter(item => item !== '')
    .map(item => addressIn(item))
}

const PORT = /:(\d{1,5})$/
const HOST = /^(\[[\da-f:.]+(%[\w.-]+)?\]|[^\s:/[\]@"'#?]+)$/i
/** The scheme of a console, and what Apache's client cuts off after it (NameServerAddressUtils, MixAll). */
const SCHEME = /^(https?|tcp):\/\//i

function addressIn(item: string): string {
  const bare = item.replace(SCHEME, '').replace(/\/$/, '')
  const port = PORT.exec(bare)?.[1]
  const host = bare.slice(0, bare.length - (port === undefined ? 0 : port.length + 1))
  if (port !== undefined && Number(port) >= 1 && Number(port) <= 0xffff && HOST.test(host) && isPlain(host)) return bare
  throw new RemotingError(
    'BAD_OPTION',
    `${JSON.stringify(item.slice(0, 120))} is not an address: ${adviceOn(bare, port)}`,
  )
}

// Separators of other scripts, which look like a comma or a semicolon.
const WIDE = /[\uff0c\uff1b\u3001\u061b\u060c]/

const isPlain = (host: string): boolean => !WIDE.test(host)

function adviceOn(bare: string, port: string | undefined): string {
  if (WIDE.test(bare)) return 'separate addresses by ; or , and not by the wide forms of them'
  if (/\s/.test(bare)) return 'it has a blank; separate addresses by ;'
  if (bare.includes('://')) return 'write host:port, without a scheme'
  if (bare.includes('/'))
    return 'if it is the URL of an address server, which answers with the list, write { url: ... }'
  if (port === undefined) return 'write host:port; name servers listen on 9876 by default'
  return 'write host:port, such as 10.0.0.1:9876 or [2001:db8::1]:9876, with a port from 1 to 65535'
}

/** The addresses of one entry of the list; undefined if its host name does not resolve now. */
async function expand(
  address: string,
  resolve: (host: string) => Promise<readonly string[]>,
): Promise<readonly string[] | undefined> {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, Math.max(colon, 0))
  if (host === '' || isIP(host.replace(/^\[(.*)\]$/, '$1')) !== 0) return [address]
  const found = await resolve(host).catch(() => [])
  return found.length === 0 ? undefined : found.map(ip => (ip.includes(':') ? `[${ip}]` : ip) + address.slice(colon))
}

async function resolveHost(host: string): Promise<readonly string[]> {
  // Callers try the addresses in this order, so the system's order is kept.
  return (await dns().lookup(host, { all: true })).map(({ address }) => address)
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every(each => b.includes(each))
}

import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { askAddressServer } from './address-server.ts'
import type { Clock } from './clock.ts'
import { within } from './waits.ts'

/** One or more addresses: `10.0.0.1:9876;10.0.0.2:9876`, or a list of them. */
export type Addresses = string | readonly string[]

/**
 * Where servers are: a list, a function that finds them, or the URL of an address server, which answers a GET with the list.
 */
export type AddressSource = Addresses | (() => Addresses | Promise<Addresses>) | { readonly url: string }

export interface AddressListOptions {
  /** Without one the list is empty. */
  readonly source: AddressSource | undefined
  readonly clock: Clock
  /** What the addresses are those of, for errors, such as `the name servers`. */
  readonly what: string
  /** How often the list is found again, milliseconds. */
  readonly refreshMs: number
  /** All addresses of a host name. Null: names are left for connecting to resolve, as TLS needs them. Default: the system's. */
  readonly resolve?: ((host: string) => Promise<readonly string[]>) | null | undefined
  /** Asks an address server. Default `askAddressServer`. */
  readonly fetchText?: ((url: string) => Promise<string>) | undefined
  /** Called when the list has other members than before. */
  readonly onChange?: (addresses: readonly string[]) => void
  /** Called when the list could not be found; the one that is known stays. */
  readonly onFailure?: (problem: Error) => void
}

/** How long the list may take, with the addresses of all names in it, milliseconds. */
const FIND_MS = 6000

/** Addresses of servers, found at the start and again from time to time. Owns the timer for that. */
export class AddressList {
  readonly #options: AddressListOptions
  #addresses: readonly string[] = []
  /** What the names in the list last stood for. */
  #meanings: ReadonlyMap<string, readonly string[]> = new Map()
  #problem: Error | undefined
  #timer: Disposable | undefined
  #refreshing: Promise<void> | undefined
  #soughtAt = Number.NEGATIVE_INFINITY
  /** Ends the search for the list. */
  readonly #end = new AbortController()

  constructor(options: AddressListOptions) {
    this.#options = options
  }

  /** Those that were found last, without repetitions. */
  get addresses(): readonly string[] {
    return this.#addresses
  }

  /** Why the list could not be found the last time; undefined if it could. */
  get problem(): Error | undefined {
    return this.#problem
  }

  /** When the list was last looked for, on `Clock.elapsed`. */
  get soughtAt(): number {
    return this.#soughtAt
  }

  get isClosed(): boolean {
    return this.#end.signal.aborted
  }

  /** Finds the list, and again every `refreshMs`. Never rejects: a list that cannot be found now is found later. */
  async start(): Promise<void> {
    await this.refresh()
    if (this.isClosed) return
    const { clock, refreshMs } = this.#options
    this.#timer = clock.every(refreshMs, () => void this.refresh())
  }

  /** Ends the search and the timer. The addresses stay as they are. */
  close(): void {
    this.#end.abort()
    this.#timer?.[Symbol.dispose]()
    this.#timer = undefined
  }

  /** Finds the list again. Never rejects, see `problem`. */
  refresh(): Promise<void> {
    return (this.#refreshing ??= this.#find().finally(() => (this.#refreshing = undefined)))
  }

  async #find(): Promise<void> {
    const { clock, what, onFailure } = this.#options
    this.#soughtAt = clock.elapsed()
    const limit = { timeoutMs: FIND_MS, signal: this.#end.signal }
    try {
      // A function of the user's, or a resolver, may never come back.
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
        // A name that is not known now stands for what it did; at first for itself: connecting tells why it fails.
        return [address, found ?? this.#meanings.get(address) ?? [address]] as const
      }),
    )
    this.#meanings = new Map(expanded)
    return [...new Set(expanded.flatMap(([, addresses]) => addresses))]
  }

  #listOf(source: AddressSource | undefined): Addresses | Promise<Addresses> {
    if (source === undefined) return []
    if (typeof source === 'function') return source()
    if (typeof source === 'string' || Array.isArray(source)) return source as Addresses
    return (this.#options.fetchText ?? askAddressServer)((source as { url: string }).url)
  }
}

/** The addresses in a list, in its order. A value such as `http://host:port` is what cloud consoles show. */
export function addressesOf(list: Addresses): string[] {
  const items = typeof list === 'string' ? list.split(/[;,\n\r]/) : list
  return items.map(item => item.trim().replace(/^https?:\/\/(?:.*\/)?/, '')).filter(item => item !== '')
}

/** The addresses that an item of the list stands for; undefined if its name is not known now. */
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
  // Tried one by one when connecting fails, so the order of addresses matters as the system gives it.
  return (await lookup(host, { all: true })).map(({ address }) => address)
}

function sameMembers(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every(each => b.includes(each))
}

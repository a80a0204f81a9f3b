import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import {
  type CallInput,
  type Clock,
  type Logger,
  type RemotingClient,
  type Reply,
  type RequestDeclaration,
  ResponseError,
} from '@gantrymq/remoting'
import { responseCodes } from '@gantrymq/protocol'
import { askAddressServer } from '../address-server.ts'
import { type Deadline, within } from '../deadline.ts'
import { ClientError, closed, javaCodes, toClientError } from '../errors.ts'

/** One or more addresses: `10.0.0.1:9876;10.0.0.2:9876`, or a list of them. */
export type NameServerList = string | readonly string[]

/**
 * Where the name servers are: a list, a function that finds them, or the URL of an address server, which answers a GET
 * with the list.
 */
export type NameServerSource =
  | NameServerList
  | (() => NameServerList | Promise<NameServerList>)
  | { readonly url: string }

export interface NameServersOptions {
  readonly source: NameServerSource | undefined
  readonly client: RemotingClient
  readonly clock: Clock
  readonly log: Logger
  /** How often the list is found anew, milliseconds. Apache: 120,000. */
  readonly refreshMs: number
  /** All addresses of a host name. Null: names are left for connecting to resolve, as TLS needs them. */
  readonly resolve?: ((host: string) => Promise<readonly string[]>) | null
  readonly fetchText?: (url: string) => Promise<string>
  /** From 0 up to 1. */
  readonly random?: () => number
}

interface Failure {
  readonly address: string
  readonly error: ClientError
}

/** How long the list may take, with the addresses of all names in it. */
const FIND_MS = 6000
/** No server is given less, even when several are to be tried in one call. */
const LEAST_TRY_MS = 500
/** The list is found again this much later at the earliest when nobody answers, milliseconds. */
const FIND_AGAIN_MS = 1000
const { SYSTEM_ERROR, TOPIC_NOT_EXIST } = responseCodes

/**
 * The name servers of a cluster. One is asked until it fails, then the next: all of them within one call, where Apache's
 * 5.x client gives up after one.
 */
export class NameServers {
  readonly #options: NameServersOptions
  #addresses: readonly string[] = []
  /** What the names in the list last stood for. */
  #meanings: ReadonlyMap<string, readonly string[]> = new Map()
  #chosen = 0
  #problem: ClientError | undefined
  #timer: Disposable | undefined
  #refreshing: Promise<void> | undefined
  #foundAt = Number.NEGATIVE_INFINITY
  /** Ends the search for the list. */
  readonly #end = new AbortController()

  constructor(options: NameServersOptions) {
    this.#options = options
  }

  /** As asked now, the one in use first. */
  get addresses(): readonly string[] {
    return this.#addresses.map((_, index, all) => all[(this.#chosen + index) % all.length] as string)
  }

  /** Finds the list, and again every `refreshMs`. A list that cannot be found now is found later. */
  async start(): Promise<void> {
    await this.refresh()
    if (this.#end.signal.aborted) return
    const { clock, refreshMs } = this.#options
    this.#timer = clock.every(refreshMs, () => void this.refresh())
  }

  close(): void {
    this.#end.abort()
    this.#timer?.[Symbol.dispose]()
  }

  /** Finds the list anew. Never rejects: what went wrong is told by the next call that has no server. */
  refresh(): Promise<void> {
    return (this.#refreshing ??= this.#find().finally(() => (this.#refreshing = undefined)))
  }

  async #find(): Promise<void> {
    const { log, clock } = this.#options
    this.#foundAt = clock.elapsed()
    try {
      // A function of the user's, or a resolver, may never come back.
      const found = await within(clock, this.#read(), FIND_MS, this.#end.signal, 'finding the name servers')
      this.#problem = undefined
      if (found.length > 0) this.#replace(found)
    } catch (error) {
      if (this.#end.signal.aborted) return
      this.#problem = toClientError(error)
      log.warn({ error: this.#problem.message }, 'name server list not found')
    }
  }

  async #read(): Promise<string[]> {
    const { source, resolve = resolveHost } = this.#options
    const listed = addressesOf(await this.#listOf(source))
    if (resolve === null) return listed
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

  #listOf(source: NameServerSource | undefined): NameServerList | Promise<NameServerList> {
    if (source === undefined) return []
    if (typeof source === 'function') return source()
    if (typeof source === 'string' || Array.isArray(source)) return source as NameServerList
    return (this.#options.fetchText ?? askAddressServer)((source as { url: string }).url)
  }

  /** Servers already known keep their place, so that a refresh does not move every client at once. */
  #replace(found: readonly string[]): void {
    const current = this.#addresses[this.#chosen]
    if (sameMembers(found, this.#addresses)) return
    this.#addresses = shuffled(found, this.#options.random ?? Math.random)
    this.#chosen = Math.max(0, this.#addresses.indexOf(current ?? ''))
    this.#options.log.info({ addresses: this.#addresses }, 'name servers')
  }

  /**
   * Asks one name server, and the others when it cannot be reached or, for a route, does not know the topic.
   * @throws ClientError NO_NAME_SERVER, ROUTE_MISSING, BROKER_REFUSED, ABORTED, CLOSED, TIMEOUT; the text says who was asked and
   *   what they said.
   */
  async call<const D extends RequestDeclaration>(
    declaration: D,
    input: CallInput<D>,
    deadline: Deadline,
  ): Promise<Reply<D>> {
    if (this.#addresses.length === 0) await this.#findWithin(deadline)
    const { addresses } = this
    if (addresses.length === 0) throw this.#ended ?? this.#noServer()
    const failures: Failure[] = []
    const reply =
      (await this.#ask(addresses, declaration, input, deadline, failures)) ??
      (await this.#ask(await this.#othersNow(failures, deadline), declaration, input, deadline, failures))
    if (reply === undefined) throw this.#ended ?? allFailed(failures)
    return reply
  }

  /** The first answer; undefined if there was none, and why not in `failures`. */
  async #ask<const D extends RequestDeclaration>(
    addresses: readonly string[],
    declaration: D,
    input: CallInput<D>,
    deadline: Deadline,
    failures: Failure[],
  ): Promise<Reply<D> | undefined> {
    for (const [index, address] of addresses.entries()) {
      if (failures.length > 0 && deadline.hasPassed) break
      const share = Math.max(LEAST_TRY_MS, deadline.left / (addresses.length - index))
      try {
        const reply = await this.#options.client.call(address, declaration, input, deadline.options(share))
        this.#choose(address)
        return reply
      } catch (error) {
        const failure = { address, error: toClientError(error, address) }
        if (!mayAskNext(error, failure.error)) throw failure.error
        failures.push(failure)
      }
    }
    return undefined
  }

  /**
   * Servers that were not asked yet. Where none answered the list is found again, as names may stand for other addresses
   * by now, but not more than once a second.
   */
  async #othersNow(failures: readonly Failure[], deadline: Deadline): Promise<readonly string[]> {
    const isSilent = failures.every(({ error }) => error.code !== 'BROKER_REFUSED')
    if (!isSilent || this.#end.signal.aborted || this.#options.clock.elapsed() - this.#foundAt < FIND_AGAIN_MS)
      return []
    await this.#findWithin(deadline)
    return this.addresses.filter(address => failures.every(failure => failure.address !== address))
  }

  async #findWithin(deadline: Deadline): Promise<void> {
    try {
      await deadline.wait(this.refresh(), 'finding the name servers')
    } catch (error) {
      const problem = toClientError(error)
      if (problem.code === 'ABORTED') throw problem
      this.#problem ??= problem
    }
  }

  #choose(address: string): void {
    this.#chosen = Math.max(0, this.#addresses.indexOf(address))
  }

  /** What a call ends with that was under way at the close. */
  get #ended(): ClientError | undefined {
    return this.#end.signal.aborted ? closed('this client') : undefined
  }

  #noServer(): ClientError {
    const advice = 'give option nameServers, or the environment variable NAMESRV_ADDR'
    const why = this.#problem === undefined ? advice : this.#problem.message
    const options = {
      responseCode: javaCodes.noNameServer,
      cause: this.#problem,
      retriable: this.#problem !== undefined,
    }
    return new ClientError('NO_NAME_SERVER', `No name server address: ${why}`, options)
  }
}

// Another server may know what this one does not: it may just have been started.
function mayAskNext(error: unknown, { code }: ClientError): boolean {
  if (error instanceof ResponseError)
    return error.responseCode === TOPIC_NOT_EXIST || error.responseCode === SYSTEM_ERROR
  return code !== 'ABORTED' && code !== 'BAD_OPTION'
}

function allFailed(failures: readonly Failure[]): ClientError {
  const answer =
    failures.find(({ error }) => error.responseCode === TOPIC_NOT_EXIST) ??
    failures.find(({ error }) => error.code === 'BROKER_REFUSED')
  const said = failures.map(({ address, error }) => `${address} said: ${saying(error)}`).join('; ')
  if (answer?.error.responseCode === TOPIC_NOT_EXIST) {
    const { responseCode, remark } = answer.error
    return new ClientError('ROUTE_MISSING', said, { responseCode, remark, retriable: true })
  }
  if (failures.length === 1) return alone(failures[0] as Failure)
  const told = answer ?? failures.at(-1)
  const { error } = told as Failure
  const { code, responseCode, remark, address } = error
  const options = { retriable: true, cause: failures[0]?.error, responseCode, remark, address }
  return new ClientError(code, `no name server served: ${said}`, options)
}

/** What one server said is its own; that it said nothing does not tell what it was asked as. */
function alone({ address, error }: Failure): ClientError {
  const { code, retriable, responseCode, cause } = error
  if (code === 'BROKER_REFUSED') return error
  const text = `the name server ${address} did not answer: ${error.message}`
  return new ClientError(code, text, { cause, retriable, responseCode, address })
}

/** The first line: Apache's answers end with a link to a list of questions. */
function saying(error: ClientError): string {
  return (error.remark ?? error.message).split('\n')[0] as string
}

/** The addresses in a list, in its order. A value such as `http://host:port` is what cloud consoles show. */
export function addressesOf(list: NameServerList): string[] {
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

function shuffled(list: readonly string[], random: () => number): string[] {
  return list
    .map(item => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item)
}

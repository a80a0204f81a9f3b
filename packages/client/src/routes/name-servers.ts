import {
  type Addresses,
  AddressList,
  type AddressSource,
  askAddressServer,
  type CallInput,
  type Clock,
  type Logger,
  type RemotingClient,
  type Reply,
  type RequestDeclaration,
  ResponseError,
} from '@gantrymq/remoting'
import { nameServerRequests, responseCodes } from '@gantrymq/protocol'
import type { Deadline } from '../deadline.ts'
import { asClientErrors, ClientError, closed, javaCodes, reasonsText, remarkText, toClientError } from '../errors.ts'

/** One or more addresses: `10.0.0.1:9876;10.0.0.2:9876`, or an array of them. */
export type NameServerList = Addresses

/**
 * Where the name servers are: a list, a function that returns one, or the URL of an address server, which answers a GET with
 * the list.
 */
export type NameServerSource = AddressSource

export interface NameServersOptions {
  readonly source: NameServerSource | undefined
  readonly client: RemotingClient
  readonly clock: Clock
  readonly log: Logger
  /** Time between two refreshes of the list, milliseconds. Apache: 120,000. */
  readonly refreshMs: number
  /** Returns all addresses of a host name. Null: names are not resolved here, because TLS needs them to connect. */
  readonly resolve?: ((host: string) => Promise<readonly string[]>) | null
  readonly fetchText?: (url: string) => Promise<string>
  /** Returns 0 to below 1. */
  readonly random?: () => number
}

interface ServerFailure {
  readonly address: string
  readonly error: ClientError
}

/** The least time that one server gets when a call may try several, milliseconds. */
const LEAST_TRY_MS = 500
/** Least time between two searches for the list when no server answers, milliseconds. */
const FIND_AGAIN_MS = 1000
const { SYSTEM_ERROR, TOPIC_NOT_EXIST } = responseCodes

/**
 * The name servers of a cluster. Calls go to one of them until it fails, then to the next. One call may try them all, where
 * Apache's 5.x client gives up after one.
 */
export class NameServers {
  readonly #options: NameServersOptions
  readonly #list: AddressList
  #addresses: readonly string[] = []
  #chosen = 0

  /** @throws ClientError BAD_OPTION for a list with something that is not an address */
  constructor(options: NameServersOptions) {
    this.#options = options
    const { source, clock, refreshMs, resolve, fetchText = fetchList } = options
    const list = {
      source,
      clock,
      refreshMs,
      resolve,
      fetchText,
      what: 'the name servers',
      onChange: (found: readonly string[]) => this.#replace(found),
      onFailure: (error: Error) =>
        options.log.warn({ error: toClientError(error).message }, 'name server list not found'),
    }
    this.#list = asClientErrors(() => new AddressList(list), 'option nameServers')
  }

  /** In the order in which a call tries them: the current one first. */
  get addresses(): readonly string[] {
    return this.#addresses.map((_, index, all) => all[(this.#chosen + index) % all.length] as string)
  }

  /** Finds the list now and every `refreshMs`. A failure is no error: the list may be found later. */
  start(): Promise<void> {
    return this.#list.start()
  }

  close(): void {
    this.#list.close()
  }

  /** Finds the list again. Never rejects: the next call that has no server throws what went wrong. */
  refresh(): Promise<void> {
    return this.#list.refresh()
  }

  // The current server stays the current one, so that a refresh does not move all clients at once.
  #replace(found: readonly string[]): void {
    const current = this.#addresses[this.#chosen]
    this.#addresses = shuffled(found, this.#options.random ?? Math.random)
    this.#chosen = Math.max(0, this.#addresses.indexOf(current ?? ''))
    this.#options.log.info({ addresses: this.#addresses }, 'name servers')
  }

  /**
   * Sends a request to one name server, and to the others if it cannot be reached or does not know the topic.
   * @throws ClientError NO_NAME_SERVER, ROUTE_MISSING, BROKER_REFUSED, ABORTED, CLOSED, TIMEOUT; the message quotes each server's
   *   failure
   */
  async call<const D extends RequestDeclaration>(
    declaration: D,
    input: CallInput<D>,
    deadline: Deadline,
  ): Promise<Reply<D>> {
    const late = this.#addresses.length === 0 ? await this.#findWithin(deadline) : undefined
    const { addresses } = this
    if (addresses.length === 0) throw this.#ended ?? this.#noServer(late)
    const failures: ServerFailure[] = []
    const reply =
      (await this.#ask(addresses, declaration, input, deadline, failures)) ??
      (await this.#ask(await this.#othersNow(failures, deadline), declaration, input, deadline, failures))
    if (reply === undefined) throw this.#ended ?? allFailed(failures)
    return reply
  }

  /** The first answer, or undefined if no server answered. Adds to `failures`. */
  async #ask<const D extends RequestDeclaration>(
    addresses: readonly string[],
    declaration: D,
    input: CallInput<D>,
    deadline: Deadline,
    failures: ServerFailure[],
  ): Promise<Reply<D> | undefined> {
    for (const [index, address] of addresses.entries()) {
      if (failures.length > 0 && deadline.hasPassed) break
      const share = Math.max(LEAST_TRY_MS, deadline.left / (addresses.length - index))
      try {
        const reply = await this.#options.client.call(address, declaration, input, deadline.options(share))
        this.#choose(address)
        return reply
      } catch (error) {
        const failure = {
          address,
          error: isOther(declaration, error) ? notNameServer(address, error) : toClientError(error, address),
        }
        if (!mayAskNext(error, failure.error)) throw failure.error
        failures.push(failure)
      }
    }
    return undefined
  }

  /**
   * Servers that this call has not asked yet. If none has answered, the list is found again, at most once a second: its names
   * may have other addresses by now.
   */
  async #othersNow(failures: readonly ServerFailure[], deadline: Deadline): Promise<readonly string[]> {
    const isSilent = failures.every(({ error }) => error.code !== 'BROKER_REFUSED')
    const sinceSought = this.#options.clock.elapsed() - this.#list.lastRefreshAt
    if (!isSilent || this.#list.isClosed || sinceSought < FIND_AGAIN_MS) return []
    await this.#findWithin(deadline)
    return this.addresses.filter(address => failures.every(failure => failure.address !== address))
  }

  /** Finds the list again. Returns the TIMEOUT if that took longer than the deadline. @throws ClientError ABORTED */
  async #findWithin(deadline: Deadline): Promise<ClientError | undefined> {
    try {
      await deadline.wait(this.refresh(), 'finding the name servers')
      return undefined
    } catch (error) {
      const problem = toClientError(error)
      if (problem.code === 'ABORTED') throw problem
      return problem
    }
  }

  #choose(address: string): void {
    this.#chosen = Math.max(0, this.#addresses.indexOf(address))
  }

  /** The error of calls that are in flight when this is closed. */
  get #ended(): ClientError | undefined {
    return this.#list.isClosed ? closed('this client') : undefined
  }

  #noServer(late: ClientError | undefined): ClientError {
    const problem = this.#list.problem === undefined ? late : toClientError(this.#list.problem)
    const why = problem?.message ?? 'set option nameServers or the environment variable NAMESRV_ADDR'
    const options = { responseCode: javaCodes.noNameServer, cause: problem, retriable: problem !== undefined }
    return new ClientError('NO_NAME_SERVER', `No name server address: ${why}`, options)
  }
}

/** @throws ClientError NO_NAME_SERVER */
async function fetchList(url: string): Promise<string> {
  try {
    return await askAddressServer(url)
  } catch (error) {
    const { message, cause } = toClientError(error)
    throw new ClientError('NO_NAME_SERVER', message, { retriable: true, cause })
  }
}

/** True for the answer of a server that knows no requests for routes, and so is no name server. */
function isOther({ code }: RequestDeclaration, error: unknown): error is ResponseError {
  return (
    code === nameServerRequests.GET_ROUTEINFO_BY_TOPIC.code &&
    error instanceof ResponseError &&
    error.responseCode === responseCodes.REQUEST_CODE_NOT_SUPPORTED
  )
}

// The remark of Apache's brokers is " request type 105 not supported".
function notNameServer(address: string, cause: ResponseError): ClientError {
  const text = `${address} is not a name server: it knows no requests for routes, as a broker does not. Set option nameServers to the name servers, which listen on port 9876 by default`
  const { responseCode, remark } = cause
  return new ClientError('NO_NAME_SERVER', text, { cause, responseCode, remark, address })
}

// Another server may know a topic that this one does not: it may have just started.
function mayAskNext(error: unknown, { code }: ClientError): boolean {
  if (error instanceof ResponseError && code === 'BROKER_REFUSED')
    return error.responseCode === TOPIC_NOT_EXIST || error.responseCode === SYSTEM_ERROR
  return code !== 'ABORTED' && code !== 'BAD_OPTION'
}

function allFailed(failures: readonly ServerFailure[]): ClientError {
  const answer =
    failures.find(({ error }) => error.responseCode === TOPIC_NOT_EXIST) ??
    failures.find(({ error }) => error.code === 'BROKER_REFUSED')
  const said = reasonsText(failures.map(({ address, error }) => ({ who: address, why: saidText(error) })))
  if (answer?.error.responseCode === TOPIC_NOT_EXIST) {
    const { responseCode, remark } = answer.error
    return new ClientError('ROUTE_MISSING', said, { responseCode, remark, retriable: true })
  }
  if (failures.length === 1) return alone(failures[0] as ServerFailure)
  const { error } = (answer ?? failures.at(-1)) as ServerFailure
  const { code, responseCode, remark, address } = error
  const options = { retriable: true, cause: failures[0]?.error, responseCode, remark, address }
  return new ClientError(code, `no name server served: ${said}${adviceOf(error)}`, options)
}

/** What to do if nothing that answers like a name server is at an address. */
function adviceOf({ code, message }: ClientError): string {
  const isElsewhere = (code === 'CONNECT_FAILED' || code === 'TIMEOUT') && !message.includes('it speaks TLS only')
  return isElsewhere ? '. Check option nameServers: name servers listen on port 9876 by default' : ''
}

// A refusal names the server; a failed connection does not say that the address is a name server's.
function alone({ address, error }: ServerFailure): ClientError {
  const { code, retriable, responseCode, cause } = error
  if (code === 'BROKER_REFUSED' || code === 'NO_NAME_SERVER') return error
  const text = `the name server ${address} did not answer: ${error.message}${adviceOf(error)}`
  return new ClientError(code, text, { cause, retriable, responseCode, address })
}

function saidText({ code, remark, message }: ClientError): string {
  return code === 'BROKER_REFUSED' ? remarkText(remark) : message
}

function shuffled(list: readonly string[], random: () => number): string[] {
  return list
    .map(item => ({ item, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ item }) => item)
}

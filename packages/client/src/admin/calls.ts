import {
  type BrokerData,
  type ClusterInfo,
  MASTER_ID,
  nameServerRequests,
  responseCodes,
  type TopicRoute,
} from '@gantrymq/protocol'
import type { CallInput, Reply, RequestDeclaration } from '@gantrymq/remoting'
import type { ClientInstance } from '../instance/client-instance.ts'
import { Deadline } from '../deadline.ts'
import { ClientError, reasonsText, toClientError } from '../errors.ts'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import { brokerMissing } from '../routes/find-broker.ts'

/**
 * The brokers that a request goes to: one by its `ip:port`, the master of a broker name, the masters of a cluster, or the
 * masters that have a topic (such as `TBW102`, which all brokers have that create topics automatically).
 */
export type Target =
  | { readonly broker: string }
  | { readonly brokerName: string }
  | { readonly cluster: string }
  | { readonly topic: string }

/** A broker's name and address. */
export interface BrokerAddress {
  /** Empty if only the address is known. */
  readonly brokerName: string
  readonly address: string
}

/** Concurrent requests of one call. */
const AT_A_TIME = 16

/** The requests of admin calls to brokers and name servers. Each admin call has one deadline for all of its requests. */
export class AdminCalls {
  readonly instance: ClientInstance
  readonly #timeoutMs: number

  constructor(instance: ClientInstance, timeoutMs: number) {
    this.instance = instance
    this.#timeoutMs = timeoutMs
  }

  get now(): number {
    return this.instance.clock.now()
  }

  /** @param times The default timeout is multiplied by it, for calls that take longer. */
  deadline(options: CallOptions, times = 1): Deadline {
    return Deadline.of(this.instance.clock, options, this.#timeoutMs * times)
  }

  /** Sends a request to a broker or name server. @throws ClientError as `ClientInstance.call` */
  ask<const D extends RequestDeclaration>(
    address: string,
    declaration: D,
    input: CallInput<D>,
    deadline: Deadline,
  ): Promise<Reply<D>> {
    return this.instance.call(address, declaration, input, deadline.options())
  }

  /** As `ask`; returns the body of the answer. @throws ClientError BAD_BODY if there is none */
  async body<const D extends RequestDeclaration>(
    address: string,
    declaration: D,
    input: CallInput<D>,
    deadline: Deadline,
  ): Promise<NonNullable<Reply<D>['body']>> {
    const { body } = await this.ask(address, declaration, input, deadline)
    return given(body, address)
  }

  /** Sends a request to a name server, and to the next if it fails. */
  nameServer<const D extends RequestDeclaration>(
    declaration: D,
    input: CallInput<D>,
    deadline: Deadline,
  ): Promise<Reply<D>> {
    return this.instance.nameServer(declaration, input, deadline.options())
  }

  /** Sends a request to all name servers, as each has its own state. @throws ClientError as `askEach` */
  async everyNameServer<const D extends RequestDeclaration>(
    declaration: D,
    input: CallInput<D>,
    deadline: Deadline,
  ): Promise<{ readonly address: string; readonly reply: Reply<D> }[]> {
    const { nameServers } = this.instance
    if (nameServers.addresses.length === 0) await deadline.wait(nameServers.refresh(), 'finding the name servers')
    const brokers = nameServers.addresses.map(address => ({ brokerName: '', address }))
    if (brokers.length === 0)
      throw new ClientError(
        'NO_NAME_SERVER',
        'No name server address: set option nameServers or the environment variable NAMESRV_ADDR',
      )
    return askEach(brokers, async ({ address }) => ({
      address,
      reply: await this.ask(address, declaration, input, deadline),
    }))
  }

  // -- Finding brokers -----------------------------------------------------------------------------------------------

  /** A topic's route, not from the cache: an operator wants the current one. @throws ClientError ROUTE_MISSING */
  async route(topic: string, deadline: Deadline): Promise<TopicRoute> {
    const { routes } = this.instance
    return await routes.look(topic, deadline).catch(async (error: unknown) => {
      throw await routes.explained(topic, error, deadline)
    })
  }

  async cluster(deadline: Deadline): Promise<ClusterInfo> {
    const { body } = await this.nameServer(nameServerRequests.GET_BROKER_CLUSTER_INFO, {}, deadline)
    return given(body, 'the name server')
  }

  /** One address per broker that has a topic: the master's, else a slave's. */
  async brokersWith(topic: string, deadline: Deadline): Promise<BrokerAddress[]> {
    const { brokerDatas } = await this.route(topic, deadline)
    return brokerDatas.flatMap(anyAddress)
  }

  /** The address of the master of a queue's broker. @throws ClientError BROKER_MISSING, ROUTE_MISSING */
  async masterOf({ topic, brokerName }: Omit<MessageQueue, 'queueId'>, deadline: Deadline): Promise<string> {
    const { brokerDatas } = await this.route(topic, deadline)
    const broker = brokerDatas.find(each => each.brokerName === brokerName)
    const [master] = broker === undefined ? [] : masterAddress(broker)
    if (master !== undefined) return master.address
    throw brokerMissing(brokerName, `the route of topic ${topic} names no master of it`)
  }

  /** The brokers of a target, at least one. @throws ClientError BROKER_MISSING, ROUTE_MISSING */
  async brokersOf(target: Target, deadline: Deadline): Promise<BrokerAddress[]> {
    if ('broker' in target) return [{ brokerName: '', address: target.broker }]
    const brokers = (await this.#brokers(target, deadline)).flatMap(masterAddress)
    if (brokers.length === 0) throw new ClientError('BROKER_MISSING', `no master of ${named(target)} is registered`)
    return brokers
  }

  /** One broker of a target. @throws ClientError BROKER_MISSING, ROUTE_MISSING */
  async brokerOf(target: Target, deadline: Deadline): Promise<BrokerAddress> {
    const [broker] = await this.brokersOf(target, deadline)
    return broker as BrokerAddress
  }

  /** All addresses of a cluster or of all clusters, masters and slaves. */
  async allBrokers(cluster: string | undefined, deadline: Deadline): Promise<BrokerAddress[]> {
    const brokers =
      cluster === undefined
        ? [...(await this.cluster(deadline)).brokerAddrTable.values()]
        : await this.#brokers({ cluster }, deadline)
    return brokers.flatMap(({ brokerAddrs, brokerName }) =>
      [...brokerAddrs.values()].map(address => ({ brokerName, address })),
    )
  }

  async #brokers(target: Exclude<Target, { broker: string }>, deadline: Deadline): Promise<readonly BrokerData[]> {
    if ('topic' in target) return (await this.route(target.topic, deadline)).brokerDatas
    const { brokerAddrTable, clusterAddrTable } = await this.cluster(deadline)
    const names = 'brokerName' in target ? [target.brokerName] : clusterAddrTable.get(target.cluster)
    if (names === undefined) throw unknownCluster(named(target), [...clusterAddrTable.keys()])
    return names.map(name => brokerAddrTable.get(name)).filter(broker => broker !== undefined)
  }
}

function masterAddress({ brokerAddrs, brokerName }: BrokerData): BrokerAddress[] {
  const address = brokerAddrs.get(MASTER_ID)
  return address === undefined ? [] : [{ brokerName, address }]
}

function anyAddress(broker: BrokerData): BrokerAddress[] {
  const [address] = [broker.brokerAddrs.get(MASTER_ID), ...broker.brokerAddrs.values()].filter(
    each => each !== undefined,
  )
  return address === undefined ? [] : [{ brokerName: broker.brokerName, address }]
}

function named(target: Exclude<Target, { broker: string }>): string {
  if ('topic' in target) return `the topic ${target.topic}`
  return 'cluster' in target ? `the cluster ${target.cluster}` : `the broker ${target.brokerName}`
}

function unknownCluster(what: string, known: readonly string[]): ClientError {
  return new ClientError('BROKER_MISSING', `${what} is not registered; registered are: ${known.join(', ') || 'none'}`)
}

/** The body of an answer. @throws ClientError BAD_BODY if there is none */
export function given<T>(body: T, who: string): NonNullable<T> {
  if (body === null || body === undefined) throw new ClientError('BAD_BODY', `the answer of ${who} has no body`)
  return body
}

/**
 * Sends a request to several servers, a limited number concurrently. Returns the answers in the order of the servers.
 * @throws ClientError after all were asked, if any of them failed; the message lists those that did
 */
export async function askEach<T>(
  brokers: readonly BrokerAddress[],
  work: (broker: BrokerAddress) => Promise<T>,
): Promise<T[]> {
  const answers: T[] = []
  const failures: { readonly broker: BrokerAddress; readonly error: ClientError }[] = []
  const queue = brokers.entries()
  const next = async (): Promise<void> => {
    for (const [at, broker] of queue) {
      try {
        answers[at] = await work(broker)
      } catch (error) {
        failures.push({ broker, error: toClientError(error, broker.address) })
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_A_TIME, brokers.length) }, next))
  const [first] = failures
  if (first === undefined) return answers
  const ended = failures.find(({ error }) => isEnded(error))
  if (ended !== undefined) throw ended.error
  throw brokers.length === 1 ? first.error : severalFailed(failures, brokers.length)
}

function severalFailed(failures: readonly { broker: BrokerAddress; error: ClientError }[], asked: number): ClientError {
  const { error, broker } = failures[0] as { broker: BrokerAddress; error: ClientError }
  const said = reasonsText(failures.map(failure => ({ who: failure.broker.address, why: failure.error.message })))
  const { responseCode, remark, retriable } = error
  return new ClientError(error.code, `${failures.length} of ${asked} servers failed: ${said}`, {
    cause: error,
    responseCode,
    remark,
    retriable,
    address: broker.address,
  })
}

/** True if the caller aborted the call or closed the admin. */
export function isEnded({ code }: ClientError): boolean {
  return code === 'ABORTED' || code === 'CLOSED'
}

/** True for a refusal with one of these response codes. */
export function isRefusal(error: unknown, ...codes: readonly number[]): error is ClientError {
  return error instanceof ClientError && error.responseCode !== undefined && codes.includes(error.responseCode)
}

/** True if the server does not support the request. */
export function isUnsupported(error: unknown): boolean {
  return isRefusal(error, responseCodes.REQUEST_CODE_NOT_SUPPORTED)
}

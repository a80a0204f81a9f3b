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
import { ClientError, toClientError } from '../errors.ts'
import type { CallOptions, MessageQueue } from '../message/message.ts'
import { brokerMissing } from '../routes/find-broker.ts'

/**
 * Whom to ask: one broker by its `ip:port`, the master of a broker name, the masters of a cluster, or those of the brokers
 * that have a topic (such as `TBW102`, which all have that make topics by themselves).
 */
export type Target =
  | { readonly broker: string }
  | { readonly brokerName: string }
  | { readonly cluster: string }
  | { readonly topic: string }

/** A broker that is asked. */
export interface Place {
  /** Empty where only the address was given. */
  readonly brokerName: string
  readonly address: string
}

/** Brokers asked side by side. */
const AT_A_TIME = 16

/** How admin calls reach brokers and name servers: each method has one deadline for all of its requests. */
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

  /** @param times of the usual time, for calls that take longer */
  deadline(options: CallOptions, times = 1): Deadline {
    return Deadline.of(this.instance.clock, options, this.#timeoutMs * times)
  }

  /** Asks one broker, or one name server, by address. @throws ClientError see `ClientInstance.call` */
  ask<const D extends RequestDeclaration>(
    address: string,
    declaration: D,
    input: CallInput<D>,
    deadline: Deadline,
  ): Promise<Reply<D>> {
    return this.instance.call(address, declaration, input, deadline.options())
  }

  /** As `ask`, of what has to answer with a body. @throws ClientError BAD_BODY if there is none */
  async body<const D extends RequestDeclaration>(
    address: string,
    declaration: D,
    input: CallInput<D>,
    deadline: Deadline,
  ): Promise<NonNullable<Reply<D>['body']>> {
    const { body } = await this.ask(address, declaration, input, deadline)
    return given(body, address)
  }

  /** Asks name servers, one after the other until one answers. */
  nameServer<const D extends RequestDeclaration>(
    declaration: D,
    input: CallInput<D>,
    deadline: Deadline,
  ): Promise<Reply<D>> {
    return this.instance.nameServer(declaration, input, deadline.options())
  }

  /** Asks every name server: each keeps its own state. @throws ClientError if one of them fails, when all were asked */
  async everyNameServer<const D extends RequestDeclaration>(
    declaration: D,
    input: CallInput<D>,
    deadline: Deadline,
  ): Promise<{ readonly address: string; readonly reply: Reply<D> }[]> {
    const { nameServers } = this.instance
    if (nameServers.addresses.length === 0) await deadline.wait(nameServers.refresh(), 'finding the name servers')
    const places = nameServers.addresses.map(address => ({ brokerName: '', address }))
    if (places.length === 0)
      throw new ClientError(
        'NO_NAME_SERVER',
        'No name server address: set option nameServers or the environment variable NAMESRV_ADDR',
      )
    return each(places, async ({ address }) => ({
      address,
      reply: await this.ask(address, declaration, input, deadline),
    }))
  }

  // -- Finding brokers -----------------------------------------------------------------------------------------------

  /** Asked anew each time: an operator wants what is. @throws ClientError ROUTE_MISSING */
  route(topic: string, deadline: Deadline): Promise<TopicRoute> {
    return this.instance.routes.look(topic, deadline)
  }

  async cluster(deadline: Deadline): Promise<ClusterInfo> {
    const { body } = await this.nameServer(nameServerRequests.GET_BROKER_CLUSTER_INFO, {}, deadline)
    return given(body, 'the name server')
  }

  /** One address of each broker that has a topic: its master, else a slave. */
  async holders(topic: string, deadline: Deadline): Promise<Place[]> {
    const { brokerDatas } = await this.route(topic, deadline)
    return brokerDatas.flatMap(readingPlace)
  }

  /** The master of a queue's broker. @throws ClientError BROKER_MISSING, ROUTE_MISSING */
  async masterOf({ topic, brokerName }: Omit<MessageQueue, 'queueId'>, deadline: Deadline): Promise<string> {
    const { brokerDatas } = await this.route(topic, deadline)
    const broker = brokerDatas.find(each => each.brokerName === brokerName)
    const [master] = broker === undefined ? [] : masterPlace(broker)
    if (master !== undefined) return master.address
    throw brokerMissing(brokerName, `the route of topic ${topic} names no master of it`)
  }

  /** @throws ClientError BROKER_MISSING if nobody is meant by it, ROUTE_MISSING */
  async places(target: Target, deadline: Deadline): Promise<Place[]> {
    if ('broker' in target) return [{ brokerName: '', address: target.broker }]
    const places = (await this.#brokers(target, deadline)).flatMap(masterPlace)
    if (places.length === 0) throw new ClientError('BROKER_MISSING', `no master of ${named(target)} is registered`)
    return places
  }

  /** The one broker that a target means. @throws ClientError BROKER_MISSING */
  async place(target: Target, deadline: Deadline): Promise<Place> {
    const [place] = await this.places(target, deadline)
    return place as Place
  }

  /** Every address of a cluster, or of all, masters and slaves. */
  async everyPlace(cluster: string | undefined, deadline: Deadline): Promise<Place[]> {
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

function masterPlace({ brokerAddrs, brokerName }: BrokerData): Place[] {
  const address = brokerAddrs.get(MASTER_ID)
  return address === undefined ? [] : [{ brokerName, address }]
}

function readingPlace(broker: BrokerData): Place[] {
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
  return new ClientError('BROKER_MISSING', `${what} is not registered; there is ${known.join(', ') || 'none'}`)
}

/** @throws ClientError BAD_BODY if an answer that has to have a body has none */
export function given<T>(body: T, who: string): NonNullable<T> {
  if (body === null || body === undefined) throw new ClientError('BAD_BODY', `the answer of ${who} has no body`)
  return body
}

/**
 * Does the same at several places, a few at a time, and gives what each answered, in their order.
 * @throws ClientError when all are done, if one of them failed: naming each that did
 */
export async function each<T>(places: readonly Place[], work: (place: Place) => Promise<T>): Promise<T[]> {
  const answers: T[] = []
  const failures: { readonly place: Place; readonly error: ClientError }[] = []
  const queue = places.entries()
  const next = async (): Promise<void> => {
    for (const [at, place] of queue) {
      try {
        answers[at] = await work(place)
      } catch (error) {
        failures.push({ place, error: toClientError(error, place.address) })
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_A_TIME, places.length) }, next))
  const [first] = failures
  if (first === undefined) return answers
  const ended = failures.find(({ error }) => isEnded(error))
  if (ended !== undefined) throw ended.error
  throw places.length === 1 ? first.error : severalFailed(failures, places.length)
}

function severalFailed(failures: readonly { place: Place; error: ClientError }[], asked: number): ClientError {
  const { error, place } = failures[0] as { place: Place; error: ClientError }
  const said = failures.map(failure => `${failure.place.address}: ${failure.error.message}`).join('; ')
  const { responseCode, remark, retriable } = error
  return new ClientError(error.code, `${failures.length} of ${asked} servers failed: ${said}`, {
    cause: error,
    responseCode,
    remark,
    retriable,
    address: place.address,
  })
}

/** True if the caller gave up, or closed the admin: what servers said meanwhile does not count. */
export function isEnded({ code }: ClientError): boolean {
  return code === 'ABORTED' || code === 'CLOSED'
}

/** True for a refusal with one of these response codes. */
export function isRefusal(error: unknown, ...codes: readonly number[]): error is ClientError {
  return error instanceof ClientError && error.responseCode !== undefined && codes.includes(error.responseCode)
}

/** True if the server does not know such a request. */
export function isUnsupported(error: unknown): boolean {
  return isRefusal(error, responseCodes.REQUEST_CODE_NOT_SUPPORTED)
}

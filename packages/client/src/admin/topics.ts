import {
  groupProblem,
  isSystemTopic,
  nameServerRequests,
  PERM_READ,
  PERM_WRITE,
  type TopicConfig,
  type TopicRoute,
  topicProblem,
  topicRequests,
} from '@gantrymq/protocol'
import type { Deadline } from '../deadline.ts'
import { ClientError } from '../errors.ts'
import type { CallOptions } from '../message/message.ts'
import type { RouteReason } from '../routes/route-reasons.ts'
import { type AdminCalls, askEach, given, isUnsupported, type Target } from './calls.ts'
import { kvValue } from './config.ts'

/** The settings of a topic. */
export interface TopicSettings {
  /** Queues per broker, for reading and for writing. Default 8. */
  readonly queues?: number | undefined
  /** Default: `queues`. */
  readonly readQueues?: number | undefined
  /** Default: `queues`. */
  readonly writeQueues?: number | undefined
  /** Permission bits: 2 write, 4 read. Default 6. */
  readonly perm?: number | undefined
  /** Default SINGLE_TAG. */
  readonly filterType?: 'SINGLE_TAG' | 'MULTI_TAG' | undefined
  /** Bit 0: a topic of a unit; bit 1: a topic that units subscribe to. Default 0. */
  readonly sysFlag?: number | undefined
  /** Of 5.x brokers; 4.9 ignores it. Default false. */
  readonly order?: boolean | undefined
  /** Of 5.x brokers, for example `{ 'message.type': 'FIFO' }`; null removes an attribute. */
  readonly attributes?: Readonly<Record<string, string | null>> | undefined
}

const DEFAULT_QUEUES = 8
const ORDER_NAMESPACE = 'ORDER_TOPIC_CONFIG'

/** Topics. Names are those of the brokers: option namespace is not added. */
export class Topics {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /**
   * Creates a topic with these settings, or replaces the settings of an existing one: Apache's createAndUpdateTopicConfig,
   * and with `{ topic: 'TBW102' }` as target its createTopic.
   * @throws ClientError BAD_NAME, BROKER_MISSING, BROKER_REFUSED
   */
  async create(topic: string, target: Target, settings: TopicSettings = {}, options: CallOptions = {}): Promise<void> {
    checkName(topic)
    const deadline = this.#calls.deadline(options)
    const header = headerOf(topic, settings)
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, topicRequests.UPDATE_AND_CREATE_TOPIC, { header }, deadline),
    )
  }

  /**
   * Changes only the given settings of an existing topic. Apache's updateTopic sets the others to defaults.
   * @throws ClientError NOT_FOUND, BROKER_MISSING, BROKER_REFUSED
   */
  async update(topic: string, target: Target, changes: TopicSettings, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    await askEach(await this.#calls.brokersOf(target, deadline), async ({ address }) => {
      const config = await this.#configAt(address, topic, deadline)
      const header = headerOf(topic, { ...settingsOf(config), ...changes })
      await this.#calls.ask(address, topicRequests.UPDATE_AND_CREATE_TOPIC, { header }, deadline)
    })
  }

  /** Creates or changes several topics in one request (5.x): createAndUpdateTopicConfigList. If one is unchanged, none is applied. */
  async createMany(topics: readonly TopicConfig[], target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, topicRequests.UPDATE_AND_CREATE_TOPIC_LIST, { body: topics }, deadline),
    )
  }

  /**
   * Deletes a topic at brokers: deleteTopicInBroker. With a cluster or the topic itself as target, it is then deleted at the
   * name servers too, for that cluster or for all: deleteTopicInNameServer.
   */
  async delete(topic: string, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, topicRequests.DELETE_TOPIC_IN_BROKER, { header: { topic } }, deadline),
    )
    if ('cluster' in target) await this.#forget(topic, target.cluster, deadline)
    if ('topic' in target) await this.#forget(topic, undefined, deadline)
  }

  /** Deletes a topic at all name servers, but not at brokers: deleteTopicInNameServer. */
  async forget(
    topic: string,
    { cluster, ...options }: CallOptions & { readonly cluster?: string } = {},
  ): Promise<void> {
    await this.#forget(topic, cluster, this.#calls.deadline(options))
  }

  async #forget(topic: string, clusterName: string | undefined, deadline: Deadline): Promise<void> {
    const header = { topic, clusterName }
    await this.#calls.everyNameServer(nameServerRequests.DELETE_TOPIC_IN_NAMESRV, { header }, deadline)
  }

  /** The names of all topics, or of those of a cluster: fetchAllTopicList, fetchTopicsByCLuster. */
  async list({ cluster, ...options }: CallOptions & { readonly cluster?: string } = {}): Promise<readonly string[]> {
    const deadline = this.#calls.deadline(options)
    const { body } =
      cluster === undefined
        ? await this.#calls.nameServer(nameServerRequests.GET_ALL_TOPIC_LIST_FROM_NAMESERVER, {}, deadline)
        : await this.#calls.nameServer(nameServerRequests.GET_TOPICS_BY_CLUSTER, { header: { cluster } }, deadline)
    return given(body, 'the name server').topicList
  }

  /** The route of a topic: examineTopicRouteInfo. @throws ClientError ROUTE_MISSING */
  route(topic: string, options: CallOptions = {}): Promise<TopicRoute> {
    return this.#calls.route(topic, this.#calls.deadline(options))
  }

  /**
   * Why clients can or cannot use a topic, in the words of a name server of Gantry: see its page `/api/v1/topics/{topic}/why`.
   * @throws ClientError UNSUPPORTED if the name server does not explain, as Apache's; NO_NAME_SERVER, TIMEOUT, ABORTED, CLOSED
   */
  async why(topic: string, options: CallOptions = {}): Promise<RouteReason> {
    if (typeof topic !== 'string' || topic.trim() === '')
      throw new ClientError('BAD_NAME', 'the name of a topic is missing')
    const deadline = this.#calls.deadline(options)
    const { nameServers, routes } = this.#calls.instance
    const reason = await routes.reason(topic, deadline)
    if (reason !== undefined) return reason
    // A server that does not answer at all has an error of its own.
    await this.#calls.cluster(deadline)
    const [address] = nameServers.addresses
    throw new ClientError(
      'UNSUPPORTED',
      `the name server ${address} does not explain routes: Gantry's do, Apache's do not`,
      { address },
    )
  }

  /** The clusters that have a topic: getTopicClusterList. */
  async clusters(topic: string, options: CallOptions = {}): Promise<readonly string[]> {
    const { brokerDatas } = await this.route(topic, options)
    return [...new Set(brokerDatas.map(({ cluster }) => cluster))]
  }

  /** A topic as one broker has it: examineTopicConfig. @throws ClientError NOT_FOUND */
  async config(topic: string, target: Target, options: CallOptions = {}): Promise<TopicConfig> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return this.#configAt(address, topic, deadline)
  }

  /** All topics of one broker, system topics too: getAllTopicConfig. */
  async configs(target: Target, options: CallOptions = {}): Promise<ReadonlyMap<string, TopicConfig>> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return this.#configsAt(address, deadline)
  }

  async #configsAt(address: string, deadline: Deadline): Promise<ReadonlyMap<string, TopicConfig>> {
    return (await this.#calls.body(address, topicRequests.GET_ALL_TOPIC_CONFIG, {}, deadline)).topics
  }

  async #configAt(address: string, topic: string, deadline: Deadline): Promise<TopicConfig> {
    const header = { topic, lo: false }
    try {
      return await this.#calls.body(address, topicRequests.GET_TOPIC_CONFIG, { header }, deadline)
    } catch (error) {
      // A 4.9 broker can only return all topics.
      if (!isUnsupported(error)) throw error
    }
    const config = (await this.#configsAt(address, deadline)).get(topic)
    if (config === undefined)
      throw new ClientError('NOT_FOUND', `the broker ${address} has no topic ${topic}`, { address })
    return config
  }

  /** The groups that consume or have consumed a topic, at any of its brokers: queryTopicConsumeByWho. */
  async groups(topic: string, options: CallOptions = {}): Promise<readonly string[]> {
    const deadline = this.#calls.deadline(options)
    const brokers = await this.#calls.brokersWith(topic, deadline)
    const lists = await askEach(brokers, ({ address }) =>
      this.#calls.body(address, topicRequests.QUERY_TOPIC_CONSUME_BY_WHO, { header: { topic } }, deadline),
    )
    // A 5.x broker lists the topic itself once per group that is online.
    const groups = new Set(lists.flat().filter(group => group !== topic && groupProblem(group) === null))
    return [...groups].toSorted()
  }

  /** A broker's system topics: getSystemTopicListFromBroker. */
  async ofSystem(target: Target, options: CallOptions = {}): Promise<readonly string[]> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    const { topicList } = await this.#calls.body(address, topicRequests.GET_SYSTEM_TOPIC_LIST_FROM_BROKER, {}, deadline)
    return topicList
  }

  /** The order configuration of a topic, `broker:queues;broker:queues`; null if it has none. */
  async orderConf(topic: string, options: CallOptions = {}): Promise<string | null> {
    const at = { namespace: ORDER_NAMESPACE, key: topic }
    return await kvValue(this.#calls, at, this.#calls.deadline(options))
  }

  /** Sets the order configuration at all name servers, or removes it if it is null: createOrUpdateOrderConf. */
  async setOrderConf(topic: string, value: string | null, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const header = { namespace: ORDER_NAMESPACE, key: topic }
    if (value === null) await this.#calls.everyNameServer(nameServerRequests.DELETE_KV_CONFIG, { header }, deadline)
    else await this.#calls.everyNameServer(nameServerRequests.PUT_KV_CONFIG, { header: { ...header, value } }, deadline)
  }
}

function checkName(topic: string): void {
  const problem = topicProblem(topic)
  if (problem !== null) throw new ClientError('BAD_NAME', problem)
  if (isSystemTopic(topic)) throw new ClientError('BAD_NAME', `the topic ${topic} is a system topic of RocketMQ`)
}

function headerOf(topic: string, settings: TopicSettings) {
  const { queues = DEFAULT_QUEUES, attributes } = settings
  return {
    topic,
    readQueueNums: settings.readQueues ?? queues,
    writeQueueNums: settings.writeQueues ?? queues,
    perm: settings.perm ?? PERM_READ | PERM_WRITE,
    topicFilterType: settings.filterType ?? 'SINGLE_TAG',
    topicSysFlag: settings.sysFlag ?? 0,
    order: settings.order ?? false,
    ...(attributes && { attributes: attributeText(attributes) }),
  }
}

/** As Apache's AttributeParser reads it: `+key=value` sets, `-key` removes. */
function attributeText(attributes: Readonly<Record<string, string | null>>): string {
  return Object.entries(attributes)
    .map(([key, value]) => (value === null ? `-${key}` : `+${key}=${value}`))
    .join(',')
}

/** Without attributes, because those that are left out stay. */
function settingsOf(config: TopicConfig): TopicSettings {
  return {
    readQueues: config.readQueueNums,
    writeQueues: config.writeQueueNums,
    perm: config.perm,
    filterType: config.topicFilterType === 'MULTI_TAG' ? 'MULTI_TAG' : 'SINGLE_TAG',
    sysFlag: config.topicSysFlag,
    order: config.order,
  }
}

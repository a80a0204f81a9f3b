import type { Duplex } from 'node:stream'
import { Broker, type BrokerStartOptions } from '@gantrymq/broker'
import {
  type BrokerData,
  clientNotices,
  type ConsumerData,
  defaultGroupConfig,
  encodeRegisterBroker,
  type Host,
  groupRequests,
  hostBytes,
  membershipRequests,
  nameServerRequests,
  popRequests,
  responseCodes,
  sendRequests,
  consumeRequests,
  type StoredMessage,
  subscriptionOf,
  type TopicConfig,
  topicRequests,
  V4_9_8,
  V5_5_0,
  writeMessageProperties,
} from '@gantrymq/protocol'
import {
  type CallInput,
  type Clock,
  type Command,
  type Dial,
  ONEWAY_FLAG,
  RemotingClient,
  RemotingError,
  type Reply,
  type RequestDeclaration,
  request,
  ResponseError,
} from '@gantrymq/remoting'
import { memorySockets } from '@gantrymq/remoting/testing'
import type { Fault, SeenRequest, SetFault } from '@gantrymq/testing/gateway'
import { StoredMessages } from './stored-messages.ts'
import { TestServer } from './test-server.ts'

export interface TestBrokerOptions {
  /** Name of the broker group. Default `broker-a`, `broker-b`, and so on. */
  readonly name?: string
  /** 0, the default, is the master. */
  readonly id?: number
  /** `4.9`: announces 4.9.8, and answers code 3 to requests that only 5.x has. Default `5.x`. */
  readonly release?: '4.9' | '5.x'
  /** False: the name servers do not know the broker until `join`. Default true. */
  readonly joined?: boolean
  /** Options of the broker, with Apache's names. */
  readonly options?: BrokerStartOptions
}

export interface TopicSettings {
  /** Default 4. */
  readonly readQueues?: number
  /** Default: `readQueues`. */
  readonly writeQueues?: number
  /** Default 6: read and write. */
  readonly perm?: number
}

/** A message to store. */
export interface NewMessage {
  readonly topic: string
  /** Default 0. */
  readonly queueId?: number
  /** Default `hello`. */
  readonly body?: Buffer
  readonly properties?: ReadonlyMap<string, string>
  readonly flag?: number
  readonly sysFlag?: number
  readonly bornTimestamp?: number
  readonly bornHost?: Host
  readonly reconsumeTimes?: number
}

/** Where a message is stored. */
export interface Position {
  readonly queueOffset: number
  readonly physicalOffset: number
}

/** What a cluster gives its brokers. */
export interface BrokerNetwork {
  readonly server: TestServer
  readonly serverClock: Clock
  readonly nameServers: string
  /** Connects to name servers, past their gateways. */
  readonly dialNameServer: (address: string, from: string) => Duplex
}

/** Requests that only 5.x supports. */
const modernCodes = new Set<number>(
  [...Object.values(popRequests), sendRequests.RECALL_MESSAGE, consumeRequests.LITE_PULL_MESSAGE].map(
    ({ code }) => code,
  ),
)

const SMALL_FILES = {
  mappedFileSizeCommitLog: 8 << 20,
  mappedFileSizeConsumeQueue: 60_000,
  maxHashSlotNum: 1_000,
  maxIndexNum: 4_000,
}
/** Where a record has its position in the log. */
const POSITION_AT = 28
const OPERATOR = 'operator:1'
const SLAVE_EXPIRY_MS = 86_400_000

/** A broker in memory behind a gateway. Its time comes from the clock of the cluster only. */
export class TestBroker {
  /** The gateway: received requests, faults, raw bytes. */
  readonly server: TestServer
  readonly broker: Broker
  readonly name: string
  readonly id: number
  readonly #operator: RemotingClient
  readonly #link: NameServerLink
  readonly #stored: StoredMessages
  readonly #clock: Clock
  /** Changes of records by their position in the log. */
  readonly #corrupt = new Map<number, (record: Buffer) => void>()

  static async start(given: TestBrokerOptions, network: BrokerNetwork): Promise<TestBroker> {
    const { name = 'broker-a', id = 0, release = '5.x', joined = true, options } = given
    const { server, serverClock: clock, nameServers } = network
    const link = new NameServerLink(network)
    link.isOpen = joined
    const [host, port] = splitAddress(server.address)
    const broker = await Broker.start({
      ...SMALL_FILES,
      brokerName: name,
      storePathRootDir: null,
      ...(id === 0 && { namesrvAddr: nameServers }),
      brokerIP1: host,
      listenPort: port,
      listen: false,
      httpEnabled: false,
      shutdownDrainMillis: 0,
      ...options,
      clock,
      dial: link.dial,
      random: () => 0,
    })
    server.serve(broker)
    if (release === '4.9') {
      server.fault('*', {
        answer: 'altered',
        handled: false,
        times: Infinity,
        where: ({ code }) => modernCodes.has(code),
        alter: (reply, { code }) => ({
          ...reply,
          code: responseCodes.REQUEST_CODE_NOT_SUPPORTED,
          remark: ` request type ${code} not supported`,
        }),
      })
    }
    const started = new TestBroker({ name, id }, { broker, link, network })
    if (id !== 0) await started.#registerSlave(nameServers)
    return started
  }

  private constructor(
    { name, id }: { readonly name: string; readonly id: number },
    {
      broker,
      link,
      network,
    }: { readonly broker: Broker; readonly link: NameServerLink; readonly network: BrokerNetwork },
  ) {
    this.name = name
    this.id = id
    this.server = network.server
    this.broker = broker
    this.#link = link
    this.#stored = new StoredMessages(broker.store)
    this.#clock = network.serverClock
    this.#operator = new RemotingClient({
      clock: network.serverClock,
      dial: async address => {
        if (address !== this.address) return network.dialNameServer(address, OPERATOR)
        const [near, far] = memorySockets()
        broker.accept(far, OPERATOR)
        return near
      },
    })
  }

  /** Our brokers are masters only, so the test registers slaves itself. */
  async #registerSlave(nameServers: string): Promise<void> {
    const { brokerClusterName: clusterName } = this.broker.options
    const header = {
      clusterName,
      brokerName: this.name,
      brokerAddr: this.address,
      brokerId: this.id,
      heartbeatTimeoutMillis: SLAVE_EXPIRY_MS,
      enableActingMaster: false,
    }
    const table = {
      dataVersion: { stateVersion: 0n, timestamp: BigInt(this.#clock.now()), counter: 1n },
      topics: new Map(),
    }
    const parts = { ...table, topicQueueMappings: new Map(), filterServers: [] }
    const body = encodeRegisterBroker(parts, { version: V5_5_0, compressed: false })
    for (const address of nameServers.split(';')) {
      await this.#operator.call(address, nameServerRequests.REGISTER_BROKER, { header, body })
    }
  }

  get address(): string {
    return this.server.address
  }

  /** All requests of clients, the oldest first. */
  get requests(): readonly SeenRequest[] {
    return this.server.requests
  }

  /** The ids of the clients that have sent heartbeats. */
  get clientIds(): string[] {
    return [...new Set([...this.broker.status.clients()].map(({ clientId }) => clientId))]
  }

  /** The ids of the consumers of a group. */
  consumerIds(group: string): string[] {
    return this.#members('consumer', group)
  }

  /** The ids of the producers of a group. */
  producerIds(group: string): string[] {
    return this.#members('producer', group)
  }

  #members(role: 'consumer' | 'producer', group: string): string[] {
    const clients = [...this.broker.status.clients()]
    return clients.filter(each => each.role === role && each.group === group).map(({ clientId }) => clientId)
  }

  /** The settings of a topic. */
  topic(name: string): TopicConfig | undefined {
    return this.broker.status.topic(name)?.config
  }

  /** The topics that a group has committed offsets of, or subscribes to. */
  topicsOf(group: string): Set<string> {
    return new Set([...this.broker.status.backlogs(group)].map(({ topic }) => topic))
  }

  /** The number of pulls that wait for messages. */
  get waitingPulls(): number {
    return this.broker.status.heldPulls
  }

  get brokerData(): BrokerData {
    const { brokerClusterName: cluster } = this.broker.options
    return {
      cluster,
      brokerName: this.name,
      brokerAddrs: new Map([[this.id, this.address]]),
      enableActingMaster: false,
    }
  }

  // -- What an operator does -----------------------------------------------------------------------------------------

  /** Creates or changes a topic. Resolves when the name servers know it. */
  async setTopic(
    name: string,
    { readQueues = 4, writeQueues = readQueues, perm = 6 }: TopicSettings = {},
  ): Promise<void> {
    await this.operate(topicRequests.UPDATE_AND_CREATE_TOPIC, {
      header: { topic: name, readQueueNums: readQueues, writeQueueNums: writeQueues, perm },
    })
  }

  async commit(topic: string, consumerGroup: string, queueId: number, commitOffset: number): Promise<void> {
    const header = { topic, consumerGroup, queueId, commitOffset }
    await this.#createGroup(consumerGroup)
    await this.operate(consumeRequests.UPDATE_CONSUMER_OFFSET, { header })
  }

  /** Brokers of 5.x take offsets only of groups that they know. */
  async #createGroup(groupName: string): Promise<void> {
    if (this.broker.status.group(groupName) !== undefined) return
    const body = defaultGroupConfig(groupName)
    await this.operate(groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body })
  }

  /**
   * Adds a consumer that consumes nothing to a group, or renews it. It stays for 120 s, or until `removeMember`.
   * @param topics what it subscribes to, as the others of its group should
   */
  async addMember(groupName: string, clientID: string, topics: readonly string[]): Promise<void> {
    const member: ConsumerData = {
      groupName,
      consumeType: 'CONSUME_PASSIVELY',
      messageModel: 'CLUSTERING',
      consumeFromWhere: 'CONSUME_FROM_FIRST_OFFSET',
      subscriptionDataSet: topics.map(topic => subscriptionOf(topic, '*', 1)),
    }
    const body = { clientID, producerDataSet: [], consumerDataSet: [member] }
    await this.operate(membershipRequests.HEART_BEAT, { body })
  }

  async removeMember(consumerGroup: string, clientID: string): Promise<void> {
    await this.operate(membershipRequests.UNREGISTER_CLIENT, { header: { clientID, consumerGroup } })
  }

  /** Has a group pop a topic, or pull it. */
  async setMode(topic: string, consumerGroup: string, mode: 'POP' | 'PULL'): Promise<void> {
    const body = { topic, consumerGroup, mode, popShareQueueNum: 0 } as const
    await this.operate(popRequests.SET_MESSAGE_REQUEST_MODE, { body })
  }

  /** Locks a queue for a client. False if another client has the lock. */
  async lock(topic: string, consumerGroup: string, queueId: number, clientId: string): Promise<boolean> {
    const mqSet = [{ topic, brokerName: this.name, queueId }]
    const { body } = await this.operate(consumeRequests.LOCK_BATCH_MQ, { body: { clientId, consumerGroup, mqSet } })
    return body?.lockOKMQSet.length === 1
  }

  async unlock(topic: string, consumerGroup: string, queueId: number, clientId: string): Promise<void> {
    const mqSet = [{ topic, brokerName: this.name, queueId }]
    await this.operate(consumeRequests.UNLOCK_BATCH_MQ, { body: { clientId, consumerGroup, mqSet } })
  }

  /** Calls the broker past the gateway, on a connection of the test. */
  operate<const D extends RequestDeclaration>(declaration: D, input?: CallInput<D>): Promise<Reply<D>> {
    return this.#operator.call(this.address, declaration, input)
  }

  /** Has the name servers forget the broker, as when it lost its connection to them. */
  leave(): void {
    this.#link.close()
  }

  /** Lets the broker register again. It does so within 30 s. */
  join(): void {
    this.#link.isOpen = true
  }

  // -- Messages ------------------------------------------------------------------------------------------------------

  /** Stores a message without a producer. Consumers get it in the next turn of the event loop. */
  put(message: NewMessage): Position {
    const { store, status } = this.broker
    const { topic, queueId = 0, body = Buffer.from('hello'), properties = new Map(), ...rest } = message
    if (status.topic(topic) === undefined) throw new Error(`${this.name} has no topic ${topic}; call setTopic first`)
    const { bornHost = { ip: '10.0.2.1', port: 50_000 }, bornTimestamp = this.#clock.now(), ...numbers } = rest
    const text = Buffer.from(writeMessageProperties(properties))
    const [ip, port] = splitAddress(this.address)
    const refusal = store.append({
      queue: store.queueFor(topic, queueId),
      flag: 0,
      sysFlag: 0,
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
      ...numbers,
      bornTimestamp,
      bornHost: hostBytes(bornHost),
      storeHost: hostBytes({ ip, port }),
      body,
      bodyStart: 0,
      bodyEnd: body.length,
      properties: text,
      propertiesStart: 0,
      propertiesEnd: text.length,
    })
    if (refusal !== 0) throw new Error(`the store refused the message with ${refusal}`)
    const { position, queueOffset } = store.appended
    return { queueOffset, physicalOffset: position }
  }

  /** The messages of a queue, or without `queueId` those of all queues. */
  messages(topic: string, queueId?: number): StoredMessage[] {
    return this.#stored.of(topic, queueId)
  }

  /** Forgets the requests and the messages of the past, for tests that watch the memory. */
  forget(): void {
    this.server.requests.length = 0
    this.#stored.forget()
  }

  maxOffset(topic: string, queueId: number): number {
    return this.broker.store.queue(topic, queueId)?.maxOffset ?? 0
  }

  /** The committed offset of a group; undefined if there is none. */
  committed(topic: string, group: string, queueId: number): number | undefined {
    for (const each of this.broker.status.backlogs(group)) {
      if (each.topic === topic && each.queueId === queueId) return each.committed
    }
    return undefined
  }

  /** How many messages a group has not consumed, or popped and not acknowledged. */
  lag(group: string): number {
    return [...this.broker.status.backlogs(group)].reduce((sum, { backlog }) => sum + backlog, 0)
  }

  // -- The gateway ---------------------------------------------------------------------------------------------------

  /** Sets a fault. @param name a request, or `*` for all */
  fault(name: string, fault: Fault): SetFault {
    return this.server.fault(name, fault)
  }

  /**
   * Has clients receive a message with changed bytes, as from a damaged disk.
   * @param change gets the record as it is in the answers to pulls
   */
  corrupt({ physicalOffset }: Position, change: (record: Buffer) => void): void {
    this.#corrupt.set(physicalOffset, change)
    this.server.alter = answer =>
      answer.body !== null && (answer.extFields?.has('nextBeginOffset') || answer.extFields?.has('startOffsetInfo'))
        ? { ...answer, body: this.#corrupted(answer.body) }
        : answer
  }

  #corrupted(records: Buffer): Buffer {
    const body = Buffer.from(records)
    for (let at = 0; at < body.length; at += records.readInt32BE(at)) {
      const change = this.#corrupt.get(Number(records.readBigInt64BE(at + POSITION_AT)))
      change?.(body.subarray(at, at + records.readInt32BE(at)))
    }
    return body
  }

  /** Ends all connections and refuses new ones. */
  down(): void {
    this.server.down()
  }

  up(): void {
    this.server.up()
  }

  /** Sends a client a request as if the broker did. */
  async call<const D extends RequestDeclaration>(
    clientId: string,
    declaration: D,
    input: CallInput<D> = {},
  ): Promise<Reply<D>> {
    const client = [...this.broker.status.clients()].findLast(each => each.clientId === clientId)
    if (client === undefined) throw new Error(`no client ${clientId} is connected to ${this.address}`)
    return readReply(declaration, await this.server.call(client.address, writeRequest(declaration, input)))
  }

  /** Sends a client an unknown request; its answer should have code 3. */
  callUnknown(clientId: string, code = 9999): Promise<unknown> {
    return this.call(clientId, request({ code, purpose: 'A request that no client supports.' }))
  }

  /** Tells the members of a group that others have joined or left (request 40). */
  notify(consumerGroup: string): void {
    this.#tell(consumerGroup, clientNotices.NOTIFY_CONSUMER_IDS_CHANGED, { header: { consumerGroup } })
  }

  /** Makes the members of a group continue at other offsets (request 220). The table is by queue id. */
  resetOffsets(topic: string, group: string, offsets: ReadonlyMap<number, number>): void {
    const offsetTable = [...offsets].map(([queueId, offset]) => ({
      queue: { topic, brokerName: this.name, queueId },
      offset,
    }))
    const header = { topic, group, timestamp: 0 }
    this.#tell(group, clientNotices.RESET_CONSUMER_CLIENT_OFFSET, { header, body: { offsetTable } })
  }

  #tell<const D extends RequestDeclaration>(group: string, declaration: D, input: CallInput<D>): void {
    const command = writeRequest(declaration, input)
    for (const each of this.broker.status.clients()) {
      if (each.role !== 'consumer' || each.group !== group) continue
      void this.server.call(each.address, { ...command, flag: ONEWAY_FLAG })
    }
  }

  async close(): Promise<void> {
    await this.#operator.close()
    await Promise.all([this.server.close(), this.broker.close()])
  }
}

/** The connections of a broker to name servers, which a test can cut. */
class NameServerLink {
  isOpen = true
  readonly #network: BrokerNetwork
  readonly #streams = new Set<Duplex>()

  constructor(network: BrokerNetwork) {
    this.#network = network
  }

  readonly dial: Dial = async address => {
    if (!this.isOpen) throw new RemotingError('CONNECT_FAILED', 'the test has cut this connection', { retriable: true })
    const stream = this.#network.dialNameServer(address, this.#network.server.address)
    this.#streams.add(stream)
    stream.once('close', () => this.#streams.delete(stream))
    return stream
  }

  close(): void {
    this.isOpen = false
    for (const stream of this.#streams) stream.destroy()
  }
}

function splitAddress(address: string): [host: string, port: number] {
  const colon = address.lastIndexOf(':')
  return [address.slice(0, colon), Number(address.slice(colon + 1))]
}

function writeRequest<const D extends RequestDeclaration>(
  declaration: D,
  input: CallInput<D>,
): Omit<Command, 'opaque'> {
  const given: { readonly header?: unknown; readonly body?: unknown } = input
  const body = given.body === undefined ? null : (declaration.body?.encode(given.body) ?? null)
  return {
    code: declaration.code,
    language: 'JAVA',
    version: V4_9_8,
    flag: 0,
    remark: null,
    extFields: declaration.header?.encode((given.header ?? {}) as never) ?? null,
    body: body === null ? null : Buffer.from(body),
    serializeType: 'JSON',
  }
}

function readReply<const D extends RequestDeclaration>({ reply }: D, command: Command): Reply<D> {
  const { code, remark, extFields, body } = command
  if (code !== 0 && !reply?.codes?.includes(code)) throw new ResponseError(code, remark)
  return {
    code,
    remark,
    header: reply?.header?.decode(extFields) as Reply<D>['header'],
    body: (body === null ? null : (reply?.body?.decode(body) ?? null)) as Reply<D>['body'],
    command,
  }
}

import {
  type BrokerData,
  clientNotices,
  consumeRequests,
  membershipRequests,
  popRequests,
  queryRequests,
  responseCodes,
  sendRequests,
  V4_9_8,
  V5_5_0,
} from '@gantrymq/protocol'
import {
  type CallInput,
  type Command,
  type Eventual,
  type HandlersFor,
  type Peer,
  type Reply,
  type ReplyParts,
  type RequestDeclaration,
  request,
  Router,
} from '@gantrymq/remoting'
import { type BrokerSettings, BrokerState, hostOf, offsetKey } from './scripted/broker-state.ts'
import { consumeHandlers } from './scripted/consume-handlers.ts'
import { type Fault, FaultyServer, type SeenRequest, type SetFault } from '@gantrymq/remoting/testing'
import { membershipHandlers, notifyChange } from './scripted/membership-handlers.ts'
import type { LogEntry, MessageLog, NewMessage, Topic, TopicSettings } from './scripted/message-log.ts'
import { popHandlers } from './scripted/pop-handlers.ts'
import { queryHandlers } from './scripted/query-handlers.ts'
import type { RouteSource } from './scripted/scripted-name-server.ts'
import { sendHandlers } from './scripted/send-handlers.ts'
import { checkBack } from './scripted/transactions.ts'

const brokerRequests = {
  ...sendRequests,
  ...consumeRequests,
  ...popRequests,
  ...queryRequests,
  ...membershipRequests,
}

const handlers: HandlersFor<typeof brokerRequests, BrokerState> = {
  ...sendHandlers,
  ...consumeHandlers,
  ...popHandlers,
  ...queryHandlers,
  ...membershipHandlers,
}

/** Requests that only 5.x supports. */
const modernCodes = new Set<number>(
  [...Object.values(popRequests), sendRequests.RECALL_MESSAGE, consumeRequests.LITE_PULL_MESSAGE].map(
    ({ code }) => code,
  ),
)

/** Names of the requests that a scripted broker answers. */
export type BrokerRequestName = keyof typeof brokerRequests

export interface ScriptedBrokerOptions extends Partial<BrokerSettings> {
  readonly clock: BrokerSettings['clock']
  /** `host:port` for memory sockets; `listen` replaces it. */
  readonly address: string
}

/**
 * A broker in memory that answers as Apache's does until a test sets a fault. Its time comes from the clock only. It has no
 * replication, no files and no SQL: SQL subscriptions get all messages.
 */
export class ScriptedBroker implements RouteSource {
  /** The server behind the sockets: received requests, faults, raw bytes. */
  readonly server: FaultyServer
  readonly state: BrokerState

  constructor({ clock, address, ...settings }: ScriptedBrokerOptions) {
    const host = (): ReturnType<typeof hostOf> => hostOf(this.server.address)
    this.state = new BrokerState(
      {
        clock,
        name: 'broker-a',
        id: 0,
        cluster: 'DefaultCluster',
        release: '5.x',
        autoCreateTopics: true,
        delays: 'at-once',
        startsAtZero: true,
        suggests: 0,
        routeOf: () => null,
        ...settings,
      },
      host,
    )
    const router = new Router(brokerRequests, handlers, this.state)
    this.server = new FaultyServer({
      clock,
      address,
      table: brokerRequests,
      version: this.state.isModern ? V5_5_0 : V4_9_8,
      dispatch: (command, peer) => this.#dispatch(router, command, peer),
      onClose: peerId => this.#onClose(peerId),
    })
  }

  get address(): string {
    return this.server.address
  }

  get name(): string {
    return this.state.settings.name
  }

  get log(): MessageLog {
    return this.state.log
  }

  /** All received requests, the oldest first. */
  get requests(): readonly SeenRequest[] {
    return this.server.requests
  }

  /** The ids of the clients that have sent heartbeats. */
  get clientIds(): string[] {
    return this.state.members.clientIds
  }

  /** The number of pulls and pops that wait for messages. */
  get waitingPulls(): number {
    return this.state.waiting.size
  }

  // -- For the name server -------------------------------------------------------------------------------------------

  get brokerData(): BrokerData {
    const { cluster, name, id } = this.state.settings
    return { cluster, brokerName: name, brokerAddrs: new Map([[id, this.address]]), enableActingMaster: false }
  }

  topicOf(name: string): Topic | undefined {
    return this.state.topic(name)
  }

  // -- The script ----------------------------------------------------------------------------------------------------

  setTopic(name: string, settings?: TopicSettings): Topic {
    return this.state.log.setTopic(name, settings)
  }

  /** Stores a message as if a producer had sent it, and answers the requests that wait for it. */
  put(message: Partial<NewMessage> & Pick<NewMessage, 'topic'>): LogEntry {
    if (this.state.topic(message.topic) === undefined) this.setTopic(message.topic)
    return this.state.put({ queueId: 0, body: Buffer.from('hello'), properties: new Map(), ...message })
  }

  /** The committed offset of a group; undefined if there is none. */
  committed(topic: string, group: string, queueId: number): number | undefined {
    return this.state.offsets.get(offsetKey(topic, group, queueId))
  }

  commit(topic: string, group: string, queueId: number, offset: number): void {
    this.state.offsets.set(offsetKey(topic, group, queueId), offset)
  }

  /** Sets a fault. @param name a request, or `*` for all */
  fault(name: BrokerRequestName | '*', fault: Fault): SetFault {
    return this.server.fault(name, fault)
  }

  /** Delivers all delayed messages; for `delays: 'by-hand'`. */
  deliverDelayed(): void {
    this.state.deliverDelayed()
  }

  /** Checks all undecided half messages at their producers (request 39). Returns the number of checks. */
  checkBack(): number {
    return checkBack(this.state)
  }

  /** Sends the consumers of a group the notice that its members have changed (request 40), although they have not. */
  notify(group: string): void {
    this.state.notifyConsumers([group], notifyChange)
  }

  /** Calls a client on its connection. Fails after `timeoutMs` by the clock (default 5,000). */
  call<const D extends RequestDeclaration>(
    clientId: string,
    declaration: D,
    input?: CallInput<D>,
    timeoutMs = 5000,
  ): Promise<Reply<D>> {
    const peer = this.#peerOf(clientId)
    if (!peer?.isOpen) return Promise.reject(new Error(`no client ${clientId} is connected to ${this.address}`))
    return peer.call(declaration, input, { timeoutMs })
  }

  /** Sends a client an unknown request; its answer should have code 3. */
  callUnknown(clientId: string, code = 9999): Promise<unknown> {
    return this.call(clientId, request({ code, purpose: 'A request that no client supports.' }))
  }

  /** Makes the members of a group continue at other offsets (request 220). The table is by queue id. */
  resetOffsets(topic: string, group: string, offsets: ReadonlyMap<number, number>): void {
    const offsetTable = [...offsets].map(([queueId, offset]) => ({
      queue: { topic, brokerName: this.name, queueId },
      offset,
    }))
    const input = { header: { topic, group, timestamp: this.state.now }, body: { offsetTable } }
    this.state.notifyConsumers([group], peer => peer.oneway(clientNotices.RESET_CONSUMER_CLIENT_OFFSET, input))
  }

  /** Closes the connections of clients that were silent for more than 120 s. Apache does so every 10 s. */
  dropSilentClients(): void {
    for (const peer of this.state.members.silentSince(this.state.now)) peer.destroy('idle')
  }

  /** Closes all connections and refuses new ones. Keeps messages and offsets, but loses locks and members, as a restart does. */
  down(): void {
    this.server.down()
    this.state.locks.clear()
  }

  up(): void {
    this.server.up()
  }

  close(): Promise<void> {
    return this.server.close()
  }

  #peerOf(clientId: string): Peer | undefined {
    const { producers, consumers } = this.state.members
    const members = [...producers.values(), ...[...consumers.values()].map(group => group.members)]
    return members.flatMap(each => [...each.values()]).findLast(member => member.clientId === clientId)?.peer
  }

  #dispatch(router: Router<typeof brokerRequests, BrokerState>, command: Command, peer: Peer): Eventual<ReplyParts> {
    if (!this.state.isModern && modernCodes.has(command.code)) {
      return { code: responseCodes.REQUEST_CODE_NOT_SUPPORTED, remark: ` request type ${command.code} not supported` }
    }
    return router.dispatch(command, peer)
  }

  #onClose(peerId: number): void {
    this.state.waiting.drop(peerId)
    this.state.notifyConsumers(this.state.members.drop(peerId), notifyChange)
  }
}

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

/** What only 5.x knows. */
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
 * A broker in memory that answers like Apache's until a test sets a fault. Time comes from
 * its clock only. No slaves' replication, no files, no SQL (such subscriptions get everything).
 */
export class ScriptedBroker implements RouteSource {
  /** Its sockets: requests that came, faults, raw bytes. */
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
      onClose: peerId => this.#gone(peerId),
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

  /** Everything it was asked, oldest first. */
  get requests(): readonly SeenRequest[] {
    return this.server.requests
  }

  /** Ids of the clients whose heartbeats came. */
  get clientIds(): string[] {
    return this.state.members.clientIds
  }

  /** How many pulls and pops wait for messages. */
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

  /** Stores a message as if somebody had sent it, and wakes who waits. */
  put(message: Partial<NewMessage> & Pick<NewMessage, 'topic'>): LogEntry {
    if (this.state.topic(message.topic) === undefined) this.setTopic(message.topic)
    return this.state.put({ queueId: 0, body: Buffer.from('hello'), properties: new Map(), ...message })
  }

  /** The offset a group has committed; undefined if none. */
  committed(topic: string, group: string, queueId: number): number | undefined {
    return this.state.offsets.get(offsetKey(topic, group, queueId))
  }

  commit(topic: string, group: string, queueId: number, offset: number): void {
    this.state.offsets.set(offsetKey(topic, group, queueId), offset)
  }

  /** @param name a request, or `*` for all */
  fault(name: BrokerRequestName | '*', fault: Fault): SetFault {
    return this.server.fault(name, fault)
  }

  /** Lets all delayed messages arrive; for `delays: 'by-hand'`. */
  deliverDelayed(): void {
    this.state.deliverDelayed()
  }

  /** Asks producers about the half messages nobody has decided on (39). Returns how many were asked about. */
  checkBack(): number {
    return checkBack(this.state)
  }

  /** Tells the consumers of a group that their members changed (40), as after a change that never was. */
  notify(group: string): void {
    this.state.tell([group], notifyChange)
  }

  /** Calls a client on its own connection, waiting at most `timeoutMs` by the clock (default 5,000). */
  call<const D extends RequestDeclaration>(
    clientId: string,
    declaration: D,
    input?: CallInput<D>,
    timeoutMs = 5000,
  ): Promise<Reply<D>> {
    const peer = this.#peerOf(clientId)
    if (!peer?.isOpen) return Promise.reject(new Error(`no client ${clientId} at ${this.address}`))
    return peer.call(declaration, input, { timeoutMs })
  }

  /** Sends a client a request that it does not know; its answer should be code 3. */
  callUnknown(clientId: string, code = 9999): Promise<unknown> {
    return this.call(clientId, request({ code, purpose: 'A request that no client knows.' }))
  }

  /** Tells the members of a group to go on from other offsets (220). Tables are by queue id. */
  resetOffsets(topic: string, group: string, offsets: ReadonlyMap<number, number>): void {
    const offsetTable = [...offsets].map(([queueId, offset]) => ({
      queue: { topic, brokerName: this.name, queueId },
      offset,
    }))
    const input = { header: { topic, group, timestamp: this.state.now }, body: { offsetTable } }
    this.state.tell([group], peer => peer.oneway(clientNotices.RESET_CONSUMER_CLIENT_OFFSET, input))
  }

  /** Drops clients that were silent for longer than 120 s, which Apache looks for every 10 s. */
  dropSilentClients(): void {
    for (const peer of this.state.members.silentSince(this.state.now)) peer.destroy('idle')
  }

  /** Ends all connections and refuses new ones. What it has stored stays; locks and members go, as with a restart. */
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

  #gone(peerId: number): void {
    this.state.waiting.drop(peerId)
    this.state.tell(this.state.members.drop(peerId), notifyChange)
  }
}

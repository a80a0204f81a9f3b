import { INNER_PRODUCER_GROUP, membershipRequests } from '@gantrymq/protocol'
import {
  type CallInput,
  type Clock,
  type Logger,
  pause,
  type Reply,
  type RequestDeclaration,
  upTo,
} from '@gantrymq/remoting'
import type { CallOptions } from '../message/message.ts'
import type { BrokerTable, KnownBroker } from '../routes/broker-table.ts'
import { heartbeatBody } from './heartbeat-body.ts'
import { HeartbeatOrder } from './heartbeat-order.ts'
import type { InstanceMembers, Member } from './instance-members.ts'

/** How long a broker may take to notice that a connection has closed, milliseconds. */
const CLOSE_NOTICED_MS = 1000
/** How long a member that leaves waits for the brokers, milliseconds. One that hangs drops the client when its connection closes. */
const LEAVE_MS = 1000

/** The calls that carry heartbeats. */
export interface BrokerCalls {
  isConnected(address: string): boolean
  call<const D extends RequestDeclaration>(
    address: string,
    declaration: D,
    input: CallInput<D>,
    options: CallOptions,
  ): Promise<Reply<D>>
}

export interface HeartbeatsOptions {
  readonly clientId: string
  readonly members: InstanceMembers
  readonly brokers: BrokerTable
  readonly calls: BrokerCalls
  readonly clock: Clock
  readonly log: Logger
  /** Time between two heartbeats, milliseconds. Apache: heartbeatBrokerInterval 30,000. */
  readonly everyMs: number
}

/**
 * Tells brokers which groups this client has: with heartbeats, and with an unregistration when the last member of a group
 * leaves.
 */
export class Heartbeats {
  readonly #options: HeartbeatsOptions
  readonly #order = new HeartbeatOrder(broker => this.#send(broker))
  readonly #end = new AbortController()
  #timer: Disposable | undefined

  constructor(options: HeartbeatsOptions) {
    this.#options = options
  }

  start(): void {
    const { clock, everyMs } = this.#options
    this.#timer = clock.every(everyMs, () => void this.#beatAll(false))
  }

  /** Ends the calls in flight, too: connections that are drained would wait for a broker that hangs. */
  close(): void {
    this.#end.abort()
    this.#timer?.[Symbol.dispose]()
  }

  /** Sends every broker the members of this moment; with no consumer among them, only the masters. Never rejects. */
  beat(): Promise<void> {
    return this.#beatAll(true)
  }

  async #beatAll(current: boolean): Promise<void> {
    const { members, brokers } = this.#options
    if (members.size === 0) return
    const all = members.consumers.length > 0 ? brokers.all() : brokers.masters()
    await Promise.all(all.map(broker => this.#order.beat(broker, current)))
  }

  async #send({ name, address }: KnownBroker): Promise<void> {
    const { clientId, members, calls, brokers, log } = this.#options
    const body = heartbeatBody(clientId, members)
    // The answer says nothing about members that join meanwhile: this heartbeat does not list them.
    const { consumers } = members
    const { signal } = this.#end
    let failure: unknown
    try {
      const { command } = await calls.call(address, membershipRequests.HEART_BEAT, { body }, { signal })
      brokers.setVersion(name, address, command.version)
    } catch (error) {
      failure = error
      if (!signal.aborted) log.warn({ address, error: String(error) }, 'heartbeat failed')
    }
    for (const consumer of consumers) consumer.heartbeatEnded?.(address, failure)
  }

  /**
   * Unregisters the group of a member that has left, unless another member of the group remains: brokers record a client
   * once per group. What takes longer than a second goes on in the background. Never rejects.
   */
  async unregister(member: Member): Promise<void> {
    const { members, brokers, calls, clock } = this.#options
    if (members.hasGroupOf(member)) return
    const connected = brokers.all().filter(({ address }) => calls.isConnected(address))
    const all = connected.map(async broker => {
      // Another member of the group may have joined during the heartbeat that this waits for.
      const isDone = await this.#unregisterAt(broker, member, () => !members.hasGroupOf(member))
      if (isDone && member.kind === 'producer' && members.size > 0) await this.#renewReplyConnection(broker)
    })
    await upTo(
      clock,
      Promise.all(all).then(() => {}),
      { timeoutMs: LEAVE_MS },
    )
  }

  /**
   * Makes a broker record again over which connection it pushes replies. It drops that record when any producer group or
   * connection of the client leaves, and creates it only for a group that is new on its connection (Apache's
   * ProducerManager).
   */
  async #renewReplyConnection(broker: KnownBroker): Promise<void> {
    // A request without an answer closes its connection, which would lead back here: a stalled broker is left to the next
    // heartbeat.
    if (await this.#unregisterAt(broker, { kind: 'producer', group: INNER_PRODUCER_GROUP }))
      await this.#order.beat(broker, true)
  }

  /** True if the broker has confirmed. A broker without a connection has dropped the client by itself. Never rejects. */
  #unregisterAt(
    { address }: KnownBroker,
    { kind, group }: Pick<Member, 'kind' | 'group'>,
    isWanted: () => boolean = () => true,
  ): Promise<boolean> {
    const { clientId, calls, log } = this.#options
    const header = {
      clientID: clientId,
      ...(kind === 'producer' ? { producerGroup: group } : { consumerGroup: group }),
    }
    return this.#order.unregister(address, async () => {
      if (!calls.isConnected(address) || !isWanted()) return false
      try {
        await calls.call(address, membershipRequests.UNREGISTER_CLIENT, { header }, { signal: this.#end.signal })
        return true
      } catch (error) {
        // The broker drops a client that sends no heartbeats.
        log.debug({ address, group, error: String(error) }, 'client not unregistered at the broker')
        return false
      }
    })
  }

  /** A broker that was restarted does not know the members, and refuses pulls until a heartbeat arrives (code 24). */
  onOpen(address: string): void {
    const { members } = this.#options
    const broker = this.#brokerAt(address)
    if (broker === undefined || members.size === 0 || this.#order.isBeating(address)) return
    void this.#order.beat(broker, false).then(() => {
      for (const consumer of members.consumers) consumer.rebalance()
    })
  }

  /**
   * A retired connection, such as one on which a call timed out, can close after its successor has opened. The broker then
   * drops the client although it is connected.
   */
  onClose(address: string): void {
    const { members, calls, clock } = this.#options
    const broker = this.#brokerAt(address)
    if (broker === undefined || members.producers.length === 0 || !calls.isConnected(address)) return
    const { signal } = this.#end
    void pause(clock, CLOSE_NOTICED_MS, signal).then(() =>
      signal.aborted ? undefined : this.#renewReplyConnection(broker),
    )
  }

  #brokerAt(address: string): KnownBroker | undefined {
    return this.#options.brokers.all().find(broker => broker.address === address)
  }
}

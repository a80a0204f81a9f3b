import { nameServerRequests, sameDataVersion, type TopicConfig, type TopicConfigTable } from '@gantrymq/protocol'
import { isPromise, type Logger, type RemotingClient } from '@gantrymq/remoting'
import { type BrokerIdentity, identityHeader, registration } from './registration-form.ts'

/** What the registrar reads of its broker, again at each use. */
export interface RegisteredBroker {
  readonly identity: () => BrokerIdentity
  readonly topics: () => TopicConfigTable
  readonly settings: () => {
    readonly brokerPermission: number
    readonly compressedRegister: boolean
    readonly forceRegister: boolean
    /** Milliseconds. */
    readonly registerBrokerTimeoutMills: number
  }
}

export interface RegistrarOptions {
  readonly broker: RegisteredBroker
  readonly client: RemotingClient
  /** The name servers, `host:port`; read again at each use. */
  readonly addresses: () => readonly string[]
  /** Called with the topics that the order configuration of a name server has. */
  readonly onOrdered: (topics: Iterable<string>) => void
  readonly log: Logger
}

/** How long a name server may take to remove the broker at its end, milliseconds (Apache's BrokerOuterAPI). */
const UNREGISTER_MS = 3000

/** Tells all name servers about a broker: Apache's BrokerController.registerBrokerAll and BrokerOuterAPI. */
export class Registrar {
  readonly #options: RegistrarOptions
  /** What each name server announced in its last reply; without those whose last registration has failed. */
  readonly #versions = new Map<string, number>()
  /** The registrations in progress by name server: one at a time, so that an older one never overwrites a newer one. */
  readonly #running = new Map<string, Promise<void>>()
  /** Topics that have changed since the last registration began. */
  #changed = new Map<string, TopicConfig>()
  #announcing: Promise<void> | undefined
  #isClosed = false

  constructor(options: RegistrarOptions) {
    this.#options = options
  }

  /** Registers the broker with all its topics at all name servers. Never rejects: the log has the failures. */
  async registerAll(): Promise<void> {
    if (this.#isClosed) return
    this.#changed = new Map()
    await Promise.all(this.#options.addresses().map(address => this.#inOrder(address, () => this.#register(address))))
  }

  /**
   * Registers topics that have changed, together with all others that change in the same turn. Never rejects.
   * Source: Apache's BrokerController.registerIncrementBrokerData.
   */
  announce(topics: readonly TopicConfig[]): Promise<void> {
    for (const topic of topics) this.#changed.set(topic.topicName, topic)
    return (this.#announcing ??= this.#announceAll())
  }

  /** Removes the broker from all name servers. Registers nothing any more. Never rejects. */
  async unregisterAll(): Promise<void> {
    this.#isClosed = true
    const { addresses, broker } = this.#options
    const header = identityHeader(broker.identity())
    await Promise.all(
      addresses().map(address =>
        this.#inOrder(address, async () => {
          await this.#options.client.call(
            address,
            nameServerRequests.UNREGISTER_BROKER,
            { header },
            { timeoutMs: UNREGISTER_MS },
          )
          this.#options.log.info({ nameServer: address }, 'unregisterBroker OK')
        }),
      ),
    )
  }

  async #announceAll(): Promise<void> {
    await Promise.resolve()
    this.#announcing = undefined
    const topics = this.#changed
    if (this.#isClosed || topics.size === 0) return
    this.#changed = new Map()
    const { addresses, broker } = this.#options
    // A server that did not answer the last time gets all topics, not only those that have changed. Without forceRegister all do: a
    // server that had missed a topic would have the newest version, and never be asked for it again.
    const mayBePart = (address: string): boolean => broker.settings().forceRegister && this.#versions.has(address)
    await Promise.all(
      addresses().map(address =>
        this.#inOrder(address, () => this.#register(address, mayBePart(address) ? topics : undefined)),
      ),
    )
  }

  #inOrder(address: string, work: () => Promise<void>): Promise<void> {
    const before = this.#running.get(address)
    const done = (isPromise(before) ? before.then(work) : work()).catch((error: unknown) => {
      this.#versions.delete(address)
      this.#options.log.warn({ err: error, nameServer: address }, 'registerBroker Exception')
    })
    this.#running.set(address, done)
    return done
  }

  async #register(address: string, only?: ReadonlyMap<string, TopicConfig>): Promise<void> {
    const { broker, client, log, onOrdered } = this.#options
    const { brokerPermission, compressedRegister, forceRegister, registerBrokerTimeoutMills } = broker.settings()
    if (this.#isClosed) return
    if (only === undefined && !forceRegister && !(await this.#needsRegistration(address))) return
    const { dataVersion, topics } = broker.topics()
    const content = {
      dataVersion,
      topics: only ?? topics,
      permission: brokerPermission,
      compressed: compressedRegister,
    }
    const input = registration(broker.identity(), content, this.#versions.get(address))
    const limit = { timeoutMs: registerBrokerTimeoutMills }
    const reply = await client.call(address, nameServerRequests.REGISTER_BROKER, input, limit)
    this.#versions.set(address, reply.command.version)
    log.debug({ nameServer: address, topics: content.topics.size }, 'register broker to name server OK')
    if (reply.body !== null) onOrdered(reply.body.keys())
  }

  /** Without forceRegister: whether a name server has other topics than the broker. Source: Apache's BrokerOuterAPI.needRegister. */
  async #needsRegistration(address: string): Promise<boolean> {
    const { broker, client } = this.#options
    const { dataVersion } = broker.topics()
    const input = { header: identityHeader(broker.identity()), body: dataVersion }
    const limit = { timeoutMs: broker.settings().registerBrokerTimeoutMills }
    try {
      const { header, body } = await client.call(address, nameServerRequests.QUERY_DATA_VERSION, input, limit)
      return header.changed || body === null || !sameDataVersion(body, dataVersion)
    } catch {
      return true
    }
  }
}

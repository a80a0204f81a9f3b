import type { TopicConfig } from '@gantrymq/protocol'
import { AddressList, type Clock, type Dial, type Logger, RemotingClient, signing, upTo } from '@gantrymq/remoting'
import type { OpenServerTls } from '@gantrymq/daemon'
import type { BrokerOptions } from '../options.ts'
import type { Topics } from '../topics/topics.ts'
import { Registrar } from './registrar.ts'
import type { BrokerIdentity } from './registration-form.ts'
import { TopicQueues } from './topic-queues.ts'

export interface NameServersParts {
  /** Read again at each use. */
  readonly options: () => BrokerOptions
  readonly identity: () => BrokerIdentity
  /** Called before a registration. A promise, if the identity may become another one. Never rejects. */
  readonly chooseAgain: (addresses: readonly string[]) => Promise<void> | undefined
  readonly topics: Topics
  readonly tls: OpenServerTls['client']
  /** Default: TCP, with TLS if it is configured. */
  readonly dial: Dial | undefined
  readonly clock: Clock
  readonly log: Logger
}

/** How long a closing broker waits for name servers, milliseconds. */
const UNREGISTER_MS = 3000

/** The name servers of a broker: their addresses, its registrations and its questions. Owns the connections to them. */
export class NameServers {
  /** Queues of topics at all brokers. */
  readonly topicQueues: TopicQueues
  readonly #clock: Clock
  readonly #client: RemotingClient
  readonly #list: AddressList
  readonly #registrar: Registrar
  readonly #chooseAgain: NameServersParts['chooseAgain']
  #announced: Promise<void> = Promise.resolve()
  #isRegistering = false
  /** The name servers may know the broker. */
  #hasRegistered = false

  /** @throws RemotingError BAD_OPTION if namesrvAddr is not a list of addresses */
  constructor({ options, identity, chooseAgain, topics, tls, dial, clock, log }: NameServersParts) {
    const atStart = options()
    const credentials = atStart.innerClientAuthenticationCredentials
    this.#clock = clock
    this.#chooseAgain = chooseAgain
    const client = new RemotingClient({
      clock,
      log,
      tls,
      ...(dial && { dial }),
      ...(credentials && { onSend: signing(credentials) }),
    })
    this.#client = client
    this.#list = new AddressList({
      source: sourceOf(atStart),
      clock,
      what: 'the name servers',
      refreshMs: atStart.updateNameServerAddrPeriod,
      onChange: () => void this.registerAll(),
      onFailure: problem => log.warn({ err: problem }, 'the list of name servers could not be read'),
    })
    const addresses = () => this.#list.addresses
    this.#registrar = new Registrar({
      broker: { identity, topics: () => topics.content, settings: options },
      client,
      addresses,
      onOrdered: names => topics.setOrdered(names),
      log,
    })
    const own = (topic: string) => {
      const { brokerName } = options()
      const queues = topics.get(topic)?.readQueueNums ?? 0
      return Array.from({ length: queues }, (_, queueId) => ({ topic, brokerName, queueId }))
    }
    this.topicQueues = new TopicQueues({ client, addresses, own, log })
  }

  /** `host:port`. */
  get addresses(): readonly string[] {
    return this.#list.addresses
  }

  /** Finds the addresses. Never rejects. */
  async find(): Promise<void> {
    await this.#list.start()
  }

  /** Registers the broker at all name servers, and from now on each change. Never rejects. */
  async register(): Promise<void> {
    this.#isRegistering = true
    this.#hasRegistered = true
    await this.registerAll()
  }

  /** Registers the broker with all its topics, if it is registered at all. Never rejects. */
  async registerAll(): Promise<void> {
    if (!this.#isRegistering) return
    const choosing = this.#chooseAgain(this.addresses)
    await (this.#announced = choosing?.then(() => this.#registrar.registerAll()) ?? this.#registrar.registerAll())
  }

  /** Registers topics that were created or changed. */
  announce(topics: readonly TopicConfig[]): void {
    if (!this.#isRegistering) return
    const choosing = this.#chooseAgain(this.addresses)
    this.#announced = choosing?.then(() => this.#registrar.announce(topics)) ?? this.#registrar.announce(topics)
  }

  /** Resolves when the name servers know the latest topics, or at the latest after `ms`. Never rejects. */
  async registered(ms: number): Promise<void> {
    await upTo(this.#clock, this.#announced, { timeoutMs: ms })
  }

  /** Registers nothing any more. */
  stop(): void {
    this.#isRegistering = false
  }

  /**
   * Leaves all name servers, if it has registered; gives up after 3 s. A broker whose start has failed must not: name servers of 4.9
   * would remove another broker that has its name. Never rejects.
   */
  async leave(): Promise<void> {
    if (!this.#hasRegistered) return
    await upTo(this.#clock, this.#registrar.unregisterAll(), { timeoutMs: UNREGISTER_MS })
  }

  async close(): Promise<void> {
    this.stop()
    this.#list.close()
    await this.#client.close()
  }
}

function sourceOf({ namesrvAddr, fetchNamesrvAddrByAddressServer, ...options }: BrokerOptions) {
  if (namesrvAddr !== null || !fetchNamesrvAddrByAddressServer) return namesrvAddr ?? undefined
  const { rmqAddressServerDomain: domain, rmqAddressServerSubGroup: group } = options
  // As in Apache's TopAddressing: port 8080, unless the domain names one.
  return { url: `http://${domain}${domain.includes(':') ? '' : ':8080'}/rocketmq/${group}` }
}

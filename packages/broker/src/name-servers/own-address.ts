import { type Host, hostBytes } from '@gantrymq/protocol'
import type { Clock, Logger } from '@gantrymq/remoting'
import { addressText, advertisedAddress } from './advertised-address.ts'
import { ipAddressOf, localAddressTowards } from './local-address.ts'
import type { BrokerIdentity } from './registration-form.ts'

export interface OwnAddressParts {
  /** Read again at each use. */
  readonly options: () => {
    readonly brokerClusterName: string
    readonly brokerName: string
    readonly brokerIP1: string | null
    readonly brokerIP2: string | null
    readonly bindAddress: string
  }
  /** The port that the broker listens on, or will listen on. */
  readonly port: () => number
  readonly clock: Clock
  readonly log: Logger
}

/** Replication is not served; the address is part of every registration. */
const HA_PORT_DISTANCE = 1

async function addressTowardsOne(nameServers: readonly string[], clock: Clock): Promise<string | undefined> {
  for (const nameServer of nameServers) {
    const found = await localAddressTowards(nameServer, clock)
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * How clients and name servers reach a broker. The host is chosen before its port is opened; if no name server can be reached then, again
 * before registrations, until one can.
 */
export class OwnAddress {
  readonly #parts: OwnAddressParts
  #host = '127.0.0.1'
  /** That of the host, which may be a name. */
  #ip = '127.0.0.1'
  /** False: the host may become another one. */
  #isFinal = false
  #storeHost: Host = { ip: '127.0.0.1', port: 0 }
  #storeHostBytes: Buffer = hostBytes(this.#storeHost)

  constructor(parts: OwnAddressParts) {
    this.#parts = parts
  }

  /** Without the port. */
  get host(): string {
    return this.#host
  }

  /** The address that messages contain; always an IP address. */
  get storeHost(): Host {
    return this.#storeHost
  }

  get storeHostBytes(): Buffer {
    return this.#storeHostBytes
  }

  /**
   * @param nameServers `host:port`; the first one that can be reached decides.
   * @throws RemotingError BAD_OPTION if brokerIP1 is a name that cannot be resolved
   */
  async choose(nameServers: readonly string[]): Promise<void> {
    const { options, clock, log } = this.#parts
    const { brokerIP1, bindAddress } = options()
    const towardsNameServer = brokerIP1 === null ? await addressTowardsOne(nameServers, clock) : undefined
    const sources = { configured: brokerIP1, bindAddress, towardsNameServer, hasNameServers: nameServers.length > 0 }
    const { host, warning, isFinal } = advertisedAddress(sources)
    this.#ip = await ipAddressOf(host, clock)
    this.#host = host
    this.#isFinal = isFinal
    if (warning !== undefined) log.warn({}, warning)
  }

  /** Chooses the host again if it was chosen without a name server. Undefined if there is nothing to do. Never rejects. */
  chooseAgain(nameServers: readonly string[]): Promise<void> | undefined {
    if (this.#isFinal || nameServers.length === 0) return undefined
    return this.#tryAgain(nameServers).catch((error: unknown) => {
      this.#parts.log.warn({ err: error }, 'the address of the broker could not be chosen again')
    })
  }

  async #tryAgain(nameServers: readonly string[]): Promise<void> {
    const { clock, log } = this.#parts
    const found = await addressTowardsOne(nameServers, clock)
    if (found === undefined) return
    this.#ip = found
    this.#host = found
    this.#isFinal = true
    this.opened()
    log.info(
      { address: this.identity().address },
      'a name server can be reached now: the broker registers another address',
    )
  }

  /** Completes the address that messages contain. Call it when the port is open, before the first message comes. */
  opened(): void {
    this.#storeHost = { ip: this.#ip, port: this.#parts.port() }
    this.#storeHostBytes = hostBytes(this.#storeHost)
  }

  readonly identity = (): BrokerIdentity => {
    const { brokerClusterName, brokerName, brokerIP2 } = this.#parts.options()
    const port = this.#parts.port()
    return {
      brokerClusterName,
      brokerName,
      address: addressText(this.host, port),
      haAddress: addressText(brokerIP2 ?? this.host, port + HA_PORT_DISTANCE),
    }
  }
}

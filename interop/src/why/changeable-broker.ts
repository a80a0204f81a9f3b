import assert from 'node:assert/strict'
import type { Release } from '../launch/apache.ts'
import type { Owner } from '../launch/launched-program.ts'
import { type LaunchedServer, type Properties, startApacheBroker } from '../launch/launcher.ts'
import { eventually } from '../eventually.ts'
import { ask, brokersOf } from '../wire/raw-connection.ts'

const UPDATE_BROKER_CONFIG = 25
const READY_MS = 90_000

/** Settings that each registration of a broker is made of. */
interface Registered {
  readonly brokerClusterName: string
  readonly brokerName: string
  readonly brokerId: number
  /** The host that clients get. */
  readonly brokerIP1: string
  readonly brokerPermission: number
}

export interface ChangeableStart {
  readonly release: Release
  readonly name: string
  readonly nameServers: readonly string[]
  /** The host of its registration. Default 127.0.0.1. */
  readonly host?: string
  readonly flags?: readonly string[]
}

const PROPERTIES: Properties = {
  autoCreateTopicEnable: false,
  autoCreateSubscriptionGroup: false,
  // Without this a broker on a busy machine refuses requests.
  brokerFastFailureEnable: false,
}

/**
 * A broker of Apache whose name, cluster, id, address and permission a test changes while it runs: a broker registers what its
 * configuration says at that moment, and at once if `brokerPermission` is among the changes (AdminBrokerProcessor.updateBrokerConfig).
 */
export class ChangeableBroker {
  readonly server: LaunchedServer
  readonly #first: Registered
  #now: Registered

  static async start(owner: Owner, { release, name, nameServers, host = '127.0.0.1', flags = [] }: ChangeableStart) {
    const properties = { ...PROPERTIES, brokerClusterName: 'DefaultCluster', brokerIP1: host }
    // The launcher waits for brokers at 127.0.0.1 only.
    const server = await startApacheBroker(owner, { release, name, nameServers, properties, flags, knownAt: [] })
    const [nameServer = ''] = nameServers
    const port = Number(nameServer.slice(nameServer.lastIndexOf(':') + 1))
    const isKnown = async () => assert.ok((await brokersOf(port)).includes(`${host}:${server.port}`), `broker ${name}`)
    await eventually(isKnown, READY_MS)
    const { brokerClusterName } = properties
    return new ChangeableBroker(server, {
      brokerClusterName,
      brokerName: name,
      brokerId: 0,
      brokerIP1: host,
      brokerPermission: 6,
    })
  }

  private constructor(server: LaunchedServer, first: Registered) {
    this.server = server
    this.#first = first
    this.#now = first
  }

  /** `127.0.0.1:port`, where mqadmin reaches it whatever it registers. */
  get local(): string {
    return this.server.address
  }

  /** `host:port`, as it is registered. */
  get registered(): string {
    return `${this.#now.brokerIP1}:${this.server.port}`
  }

  /** Changes its registration, and registers. */
  async become(changes: Partial<Registered>): Promise<void> {
    const next = { ...this.#now, ...changes }
    const lines = Object.entries({ brokerPermission: next.brokerPermission, ...changes })
    const body = lines.map(([key, value]) => `${key}=${value}\n`).join('')
    const answer = await ask(this.server.port, { code: UPDATE_BROKER_CONFIG, body })
    assert.equal(answer.code, 0, answer.remark ?? '')
    this.#now = next
  }

  /** Registers as at its start. */
  async restore(): Promise<void> {
    await this.become(this.#first)
  }
}

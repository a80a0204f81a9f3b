import { networkInterfaces } from 'node:os'
import { join, resolve } from 'node:path'
import { Broker, type BrokerStartOptions, type BrokerStatus } from '@gantrymq/broker'
import { NameServer } from '@gantrymq/namesrv'
import type { Logger } from '@gantrymq/remoting'
import { brokerLabels, nameServerLabels, prometheusPage } from '../program/metrics.ts'
import type { StandaloneOptions } from './options.ts'

const ALL_INTERFACES = new Set(['0.0.0.0', '::'])
const LOOPBACK = '127.0.0.1'
/** How long the answers of the name server may take after the broker has closed, milliseconds. */
const NAME_SERVER_DRAIN_MS = 1000

/** Smaller files than Apache's, because in memory no other program reads them. */
const MEMORY_FILES = {
  mappedFileSizeCommitLog: 64 << 20,
  mappedFileSizeConsumeQueue: 600_000,
  maxHashSlotNum: 50_000,
  maxIndexNum: 200_000,
}

/** A name server and a broker in one process: a whole RocketMQ for development. */
export class Standalone {
  readonly options: StandaloneOptions
  readonly #nameServer: NameServer
  readonly #broker: Broker

  private constructor(options: StandaloneOptions, nameServer: NameServer, broker: Broker) {
    this.options = options
    this.#nameServer = nameServer
    this.#broker = broker
  }

  /** @throws as NameServer.start and Broker.start */
  static async start(options: StandaloneOptions, log: Logger): Promise<Standalone> {
    const { bindAddress, listenPort, memory, dataDir } = options
    const folder = memory || dataDir === null ? undefined : resolve(dataDir)
    let broker: Broker | undefined
    const brokerName = `broker ${options.brokerName}`
    const nameServer = await NameServer.start({
      otherServers: () => (broker ? [{ name: brokerName, port: broker.address.port }] : []),
      bindAddress,
      listenPort,
      kvConfigPath: folder === undefined ? null : join(folder, 'namesrv', 'kvConfig.json'),
      metricsPage: source => prometheusPage(source, nameServerLabels(listenPort)),
      log,
    })
    try {
      const { port } = nameServer.address
      broker = await Broker.start({
        ...brokerOptions(options, folder, port),
        otherServers: () => [{ name: 'name server', port }],
        metricsPage: source => prometheusPage(source, brokerLabels(options.clusterName, options.brokerName)),
        log,
      })
      return new Standalone(options, nameServer, broker)
    } catch (error) {
      await nameServer.close({ drainMs: 0 })
      throw error
    }
  }

  /** Where clients find the name server: `host:port`. */
  get nameServerAddress(): string {
    const { bindAddress } = this.options
    return ownAddress(bindAddress, this.#nameServer.address.port)
  }

  get port(): number {
    return this.#nameServer.address.port
  }

  get brokerAddress(): string {
    return this.#broker.advertisedAddress
  }

  get broker(): BrokerStatus {
    return this.#broker.status
  }

  /** Closes the broker, so that everything is stored, then the name server. */
  async close(): Promise<void> {
    try {
      await this.#broker.close()
    } finally {
      // The broker has kept serving for as long as the options say.
      await this.#nameServer.close({ goAwayMs: 0, drainMs: NAME_SERVER_DRAIN_MS })
    }
  }
}

/** How programs of this machine reach a port. */
function ownAddress(bindAddress: string, port: number): string {
  const host = ALL_INTERFACES.has(bindAddress) ? LOOPBACK : bindAddress
  return `${host.includes(':') ? `[${host}]` : host}:${port}`
}

/** An IPv4 address by which other machines may reach this one; undefined if it has none. */
function addressOfInterface(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flatMap(each => each ?? [])
  return addresses.find(({ family, internal }) => family === 'IPv4' && !internal)?.address
}

function brokerOptions(
  options: StandaloneOptions,
  folder: string | undefined,
  nameServerPort: number,
): BrokerStartOptions {
  const { bindAddress, brokerPort, brokerName, clusterName } = options
  const { enableShutdownGracefully, shutdownWaitTimeSeconds, shutdownDrainMillis } = options
  const advertised = options.advertisedAddress ?? (ALL_INTERFACES.has(bindAddress) ? addressOfInterface() : bindAddress)
  return {
    bindAddress,
    listenPort: brokerPort,
    namesrvAddr: ownAddress(bindAddress, nameServerPort),
    ...(advertised !== undefined && { brokerIP1: advertised }),
    brokerName,
    brokerClusterName: clusterName,
    autoCreateTopicEnable: true,
    autoCreateSubscriptionGroup: true,
    enableShutdownGracefully,
    shutdownWaitTimeSeconds,
    shutdownDrainMillis,
    ...(folder === undefined
      ? { storePathRootDir: null, ...MEMORY_FILES }
      : { storePathRootDir: join(folder, 'store') }),
  }
}

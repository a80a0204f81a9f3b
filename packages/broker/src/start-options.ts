import type { GivenOptions, MetricSource, MetricsPage, OtherServer } from '@gantrymq/daemon'
import type { Clock, Command, Dial, Eventual, Logger, ReplyParts } from '@gantrymq/remoting'
import type { Disk } from '@gantrymq/store'
import type { BrokerOptions } from './options.ts'

/** What a program passes besides the options. */
export interface BrokerParts {
  /** Default: nothing is logged. */
  readonly log?: Logger
  readonly clock?: Clock
  /** How the broker connects to name servers. Default: TCP, with TLS if it is configured. */
  readonly dial?: Dial
  /** Unknown keys of the configuration file. GET_BROKER_CONFIG shows them. */
  readonly unknownKeys?: ReadonlyMap<string, string>
  /** Creates the page at `/metrics`. Default: that page says that metrics are off. */
  readonly metricsPage?: (source: MetricSource) => MetricsPage
  /** Servers of the same process that have pages, too: the page for browsers links to them. Default none. */
  readonly otherServers?: () => readonly OtherServer[]
  /** False: no port is opened, and `accept` gets the connections. The broker registers brokerIP1 and listenPort. Default true. */
  readonly listen?: boolean
  /** The files of the store and of the tables. Default: those of the machine; in memory, if there is no storePathRootDir. */
  readonly disk?: Disk
  /** At least 0, below 1. Default Math.random. */
  readonly random?: () => number
  /** Gets each request in place of the broker, and `dispatch` to hand it on: for tests that make requests fail. */
  readonly onRequest?: (command: Command, dispatch: () => Eventual<ReplyParts>) => Eventual<ReplyParts>
}

export interface BrokerStartOptions extends GivenOptions<BrokerOptions>, BrokerParts {
  /** Short for `listenPort`. */
  readonly port?: number
  /** Short for `bindAddress`. */
  readonly host?: string
}

/** What the broker itself gets of that; the other parts have been used by then. */
export interface GivenParts extends Required<Pick<BrokerParts, 'log' | 'random'>> {
  readonly dial: Dial | undefined
  readonly metricsPage: BrokerParts['metricsPage']
  readonly otherServers: BrokerParts['otherServers']
  readonly onRequest: BrokerParts['onRequest']
}

/** Where a broker listens. */
export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

import type { ClusterInfo } from '@gantrymq/protocol'
import type { CallOptions } from '../message/message.ts'
import type { AdminCalls, BrokerAddress } from './calls.ts'

/** Clusters and their brokers. */
export class Clusters {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** All clusters and brokers: examineBrokerClusterInfo. */
  info(options: CallOptions = {}): Promise<ClusterInfo> {
    return this.#calls.cluster(this.#calls.deadline(options))
  }

  /** The names of all clusters. */
  async names(options: CallOptions = {}): Promise<readonly string[]> {
    return [...(await this.info(options)).clusterAddrTable.keys()].toSorted()
  }

  /** The masters of a cluster. @throws ClientError BROKER_MISSING */
  masters(cluster: string, options: CallOptions = {}): Promise<readonly BrokerAddress[]> {
    return this.#calls.brokersOf({ cluster }, this.#calls.deadline(options))
  }

  /** The masters and slaves of a cluster, or of all clusters: getBrokerAddrs. */
  members(cluster: string | undefined, options: CallOptions = {}): Promise<readonly BrokerAddress[]> {
    return this.#calls.allBrokers(cluster, this.#calls.deadline(options))
  }

  /** The name servers in use: getNameServerAddressList. */
  nameServers(): readonly string[] {
    return this.#calls.instance.nameServers.addresses
  }
}

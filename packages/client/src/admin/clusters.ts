import type { ClusterInfo } from '@gantrymq/protocol'
import type { CallOptions } from '../message/message.ts'
import type { AdminCalls, Place } from './calls.ts'

/** Clusters and the brokers they are made of. */
export class Clusters {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** All clusters and brokers: examineBrokerClusterInfo. */
  info(options: CallOptions = {}): Promise<ClusterInfo> {
    return this.#calls.cluster(this.#calls.deadline(options))
  }

  /** Names of all clusters. */
  async names(options: CallOptions = {}): Promise<readonly string[]> {
    return [...(await this.info(options)).clusterAddrTable.keys()].toSorted()
  }

  /** Masters of a cluster. @throws ClientError BROKER_MISSING */
  masters(cluster: string, options: CallOptions = {}): Promise<readonly Place[]> {
    return this.#calls.places({ cluster }, this.#calls.deadline(options))
  }

  /** Masters and slaves of a cluster, or of all: getBrokerAddrs. */
  members(cluster: string | undefined, options: CallOptions = {}): Promise<readonly Place[]> {
    return this.#calls.everyPlace(cluster, this.#calls.deadline(options))
  }

  /** Name servers that are asked: getNameServerAddressList. */
  nameServers(): readonly string[] {
    return this.#calls.instance.nameServers.addresses
  }
}

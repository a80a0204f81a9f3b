import { type PlainAccessTable, plainAccessRequests } from '@gantrymq/protocol'
import type { CallOptions } from '../message/message.ts'
import { type AdminCalls, askEach, type Target } from './calls.ts'

/** An account to create, or the settings of an account to change. */
export interface AccountSettings {
  readonly accessKey: string
  /** More than 6 characters. */
  readonly secretKey: string
  readonly whiteRemoteAddress?: string
  readonly admin?: boolean
  /** `DENY`, `PUB`, `SUB` or `PUB|SUB`. */
  readonly defaultTopicPerm?: string
  readonly defaultGroupPerm?: string
  /** Permission by topic. */
  readonly topics?: Readonly<Record<string, string>>
  /** Permission by group. */
  readonly groups?: Readonly<Record<string, string>>
}

/** Versions of a broker's access files. */
export interface AclVersion {
  readonly brokerName: string
  readonly brokerAddr: string
  readonly clusterName: string
  /** A DataVersion in JSON. */
  readonly version: string
  /** DataVersions by file, in JSON. */
  readonly allAclFileVersion?: string
}

/** The accounts in the access files of 4.9 brokers (ACL 1.0). 5.x brokers have users: see `admin.auth`. */
export class Acl {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** Creates an account, or changes the given settings of one: createAndUpdatePlainAccessConfig. */
  async put(account: AccountSettings, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const { topics, groups, ...plain } = account
    const header = {
      ...plain,
      ...(topics && { topicPerms: listed(topics) }),
      ...(groups && { groupPerms: listed(groups) }),
    }
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, plainAccessRequests.UPDATE_AND_CREATE_ACL_CONFIG, { header }, deadline),
    )
  }

  /** Deletes an account: deletePlainAccessConfig. */
  async delete(accessKey: string, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, plainAccessRequests.DELETE_ACL_CONFIG, { header: { accessKey } }, deadline),
    )
  }

  /** Replaces the addresses that need no credentials: updateGlobalWhiteAddrConfig. */
  async setWhiteAddresses(
    addresses: readonly string[],
    target: Target,
    { file = '', ...options }: CallOptions & { readonly file?: string } = {},
  ): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const header = { globalWhiteAddrs: addresses.join(','), aclFileFullPath: file }
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, plainAccessRequests.UPDATE_GLOBAL_WHITE_ADDRS_CONFIG, { header }, deadline),
    )
  }

  /** Versions of the access files: examineBrokerClusterAclVersionInfo. A broker with ACL disabled does not answer. */
  async versions(target: Target, options: CallOptions = {}): Promise<readonly AclVersion[]> {
    const deadline = this.#calls.deadline(options)
    return askEach(await this.#calls.brokersOf(target, deadline), async ({ address }) => {
      const { header } = await this.#calls.ask(address, plainAccessRequests.GET_BROKER_CLUSTER_ACL_INFO, {}, deadline)
      return header
    })
  }

  /** All accounts with their secrets, of brokers before 4.9.8: examineBrokerClusterAclConfig. Never log the result. */
  async accounts(target: Target, options: CallOptions = {}): Promise<PlainAccessTable> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return this.#calls.body(address, plainAccessRequests.GET_BROKER_CLUSTER_ACL_CONFIG, {}, deadline)
  }
}

function listed(permissions: Readonly<Record<string, string>>): string {
  return Object.entries(permissions)
    .map(([name, permission]) => `${name}=${permission}`)
    .join(',')
}

import {
  aclParameters,
  authParameters,
  brokersParameters,
  clustersParameters,
  configParameters,
  consumersParameters,
  groupsParameters,
  messagesParameters,
  offsetsParameters,
  permissionsParameters,
  producersParameters,
  statsParameters,
  strict,
  topicsParameters,
  tracksParameters,
} from './arguments.ts'
import { acquireInstance, type InstanceLease } from '../instance/shared-instances.ts'
import { asJava, type ClientOptions, instanceOptions } from '../instance/instance-options.ts'
import { checkedOptions, type GivenOf, millis, readOptions } from '../options.ts'
import { Acl } from './acl.ts'
import { Auth } from './auth.ts'
import { Brokers } from './brokers.ts'
import { AdminCalls } from './calls.ts'
import { Clusters } from './clusters.ts'
import { Config } from './config.ts'
import { Consumers, Producers } from './connections.ts'
import { Groups } from './groups.ts'
import { Messages } from './messages.ts'
import { Offsets } from './offsets.ts'
import { Permissions } from './permissions.ts'
import { Stats } from './stats.ts'
import { Topics } from './topics.ts'
import { Tracks } from './tracks.ts'

/** The options of admins, besides `instanceOptions`. */
export const adminOptions = {
  /** Timeout of a call, milliseconds; calls that collect much data have 3 to 10 times as long. Default 5,000. */
  timeoutMs: millis(5000, 'timeoutMillis', { min: 1 }),
}

/** The options of an admin. */
export interface AdminOptions extends ClientOptions, GivenOf<typeof adminOptions> {}

/**
 * Administers a cluster, as Apache's MQAdmin and MQAdminExt do. Each method has one deadline for all of its requests
 * (`timeoutMs`) and takes a signal. A call that asks several servers fails if one of them fails, after all were asked, with an
 * error that names it. To get the answers of the others, ask the servers one by one (`{ broker: address }`).
 */
export class Admin {
  readonly topics: Topics
  readonly groups: Groups
  readonly clusters: Clusters
  readonly brokers: Brokers
  readonly messages: Messages
  readonly offsets: Offsets
  readonly consumers: Consumers
  readonly producers: Producers
  readonly stats: Stats
  readonly tracks: Tracks
  readonly config: Config
  readonly permissions: Permissions
  /** Accounts of 4.9 brokers. */
  readonly acl: Acl
  /** Users and permissions of 5.x brokers. */
  readonly auth: Auth
  readonly #lease: InstanceLease

  /** @throws ClientError BAD_OPTION */
  static async start(options: AdminOptions = {}): Promise<Admin> {
    const admin = new Admin(options)
    await admin.#lease.instance.start()
    return admin
  }

  private constructor(given: AdminOptions) {
    const settings = asJava(
      readOptions('Admin', { ...instanceOptions, ...adminOptions }, checkedOptions('Admin', given)),
    )
    this.#lease = acquireInstance(settings)
    const calls = new AdminCalls(this.#lease.instance, settings.timeoutMs)
    this.topics = strict('admin.topics', new Topics(calls), topicsParameters)
    this.groups = strict('admin.groups', new Groups(calls, this.topics), groupsParameters)
    this.clusters = strict('admin.clusters', new Clusters(calls), clustersParameters)
    this.brokers = strict('admin.brokers', new Brokers(calls), brokersParameters)
    this.messages = strict('admin.messages', new Messages(calls), messagesParameters)
    this.offsets = strict('admin.offsets', new Offsets(calls), offsetsParameters)
    this.consumers = strict('admin.consumers', new Consumers(calls, this.messages), consumersParameters)
    this.producers = strict('admin.producers', new Producers(calls), producersParameters)
    this.stats = strict('admin.stats', new Stats(calls), statsParameters)
    this.tracks = strict('admin.tracks', new Tracks(calls, this.topics, this.consumers, this.stats), tracksParameters)
    this.config = strict('admin.config', new Config(calls), configParameters)
    this.permissions = strict('admin.permissions', new Permissions(calls), permissionsParameters)
    this.acl = strict('admin.acl', new Acl(calls), aclParameters)
    this.auth = strict('admin.auth', new Auth(calls), authParameters)
  }

  get clientId(): string {
    return this.#lease.instance.clientId
  }

  /** Closes the admin; calls in flight fail. Idempotent. */
  close(): Promise<void> {
    return this.#lease.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

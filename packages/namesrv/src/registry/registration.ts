import type { DataVersion, RegisterBrokerBody, TopicConfig } from '@gantrymq/protocol'
import type { Long } from '@gantrymq/remoting'
import type { Broker, BrokerGroup } from './broker-group.ts'
import type { Change, Removal } from './broker-changes.ts'
import type { QueueSettings } from './queue-settings.ts'

/** Who a request speaks of. */
export interface BrokerIdentity {
  readonly clusterName: string
  readonly brokerName: string
  /** `ip:port`. */
  readonly brokerAddr: string
  readonly brokerId: Long
}

/** What a broker says of itself, apart from its topics. */
export interface RegistrationHead extends BrokerIdentity {
  readonly haServerAddr?: string | undefined
  /** 5.x. */
  readonly zoneName?: string | undefined
  /** Milliseconds of silence allowed; default 120 000, also for 0 and less. */
  readonly heartbeatTimeoutMillis?: number | undefined
  /** 5.x brokers send true or false; absent marks an older one. */
  readonly enableActingMaster?: boolean | undefined
  /** The connection it came on. */
  readonly peer: number
  readonly dataVersion: DataVersion
  /** CRC-32 of the body as it came; undefined if not known. */
  readonly checksum?: number | undefined
  /** Null: not mentioned, what is known stays. */
  readonly filterServers: readonly string[] | null
}

/** A whole registration. */
export interface BrokerRegistration extends Omit<RegistrationHead, 'dataVersion' | 'filterServers'> {
  readonly body: RegisterBrokerBody
}

/**
 * Which topics of a registration are to be put into the table: `all`; only those that are `missing` there, since the
 * data version is the known one; or `none`, since they count for nothing or are known to be there.
 */
export type TopicsWanted = 'all' | 'missing' | 'none'

/** The right to bring the topics of one registration. Worth nothing once the broker left or registered again. */
export interface RegistrationToken {
  readonly broker: Broker
  readonly generation: number
  readonly wanted: TopicsWanted
  readonly head: RegistrationHead
  /** The data version is the one of the registration before. */
  readonly repeated: boolean
  alterations: number
  /** Topics brought so far. */
  count: number
  /** A topic was new to the table, or was left out. */
  unsettled: boolean
  /** Topics were left out because the broker lost its role meanwhile. */
  leftOut: boolean
  hasMappings: boolean
  /** Names brought so far, where unlisted ones are to be deleted. */
  readonly listed: Set<string> | undefined
}

/** A broker whose id is held by one with a higher stateVersion (DLedger, controller): it was deposed. */
export interface IgnoredRegistration {
  readonly result: 'ignored'
  readonly holderAddr: string
  readonly holderStateVersion: Long
}

export interface BegunRegistration {
  /** `new`: was not registered; `unchanged`: with the data version of its last complete registration. */
  readonly result: 'new' | 'changed' | 'unchanged'
  readonly topics: TopicsWanted
  readonly token: RegistrationToken
  /** For a slave whose master is registered. */
  readonly masterAddr?: string
  readonly haServerAddr?: string
  /** The brokers that this one takes the place of, if any. */
  readonly replaced?: Removal
  readonly changes: readonly Change[]
}

/** What some topics of a registration did. */
export interface AppliedTopics {
  /** Topics that no broker had before. */
  readonly added: string[]
  /** Topics that this broker name had with other settings. */
  readonly changed: { readonly topic: string; readonly before: QueueSettings; readonly after: QueueSettings }[]
}

export interface CompletedRegistration {
  /** With deleteTopicWithBrokerRegistration: topics that the broker no longer lists, and whether any other has them. */
  readonly deleted: readonly { readonly topic: string; readonly gone: boolean }[]
}

export type RegisterOutcome = IgnoredRegistration | (BegunRegistration & AppliedTopics & CompletedRegistration)

/** What QUERY_DATA_VERSION (322) answers. */
export interface DataVersionAnswer {
  /** The broker should register its topics. */
  readonly changed: boolean
  /** What is known of it. */
  readonly stored?: DataVersion
}

/** Bounds of what peers may put into the table. */
export interface RegistrationLimits {
  /** Characters of a topic, broker or cluster name, or of an address. Default 255. */
  readonly maxNameLength: number
  /** Topics of one registration. Default 200 000. */
  readonly maxTopicsPerRegistration: number
  /** Registered brokers. Default 10 000. */
  readonly maxBrokers: number
}

export const defaultLimits: RegistrationLimits = {
  maxNameLength: 255,
  maxTopicsPerRegistration: 200_000,
  maxBrokers: 10_000,
}

export type RefusalCode = 'BAD_NAME' | 'BAD_TOPIC_NAME' | 'TOO_MANY_TOPICS' | 'TOO_MANY_BROKERS'

/** A registration that passes a limit. Nothing of it has taken effect. */
export class RegistrationRefused extends Error {
  override readonly name = 'RegistrationRefused'
  readonly code: RefusalCode

  constructor(code: RefusalCode, message: string) {
    super(message)
    this.code = code
  }
}

/** @throws RegistrationRefused */
export function checkIdentity(identity: BrokerIdentity, { maxNameLength }: RegistrationLimits): void {
  for (const field of ['clusterName', 'brokerName', 'brokerAddr'] as const) {
    const fault = nameFault(identity[field], maxNameLength)
    if (fault) throw new RegistrationRefused('BAD_NAME', `${field} ${fault}: ${shown(identity[field])}`)
  }
}

/** @throws RegistrationRefused naming the first bad topic. */
export function checkTopics(topics: Iterable<TopicConfig>, count: number, limits: RegistrationLimits): void {
  if (count > limits.maxTopicsPerRegistration) {
    throw new RegistrationRefused(
      'TOO_MANY_TOPICS',
      `${count} topics in one registration, the limit is ${limits.maxTopicsPerRegistration}`,
    )
  }
  for (const { topicName } of topics) checkTopicName(topicName, limits)
}

/** @throws RegistrationRefused */
export function checkTopicName(name: string, { maxNameLength }: RegistrationLimits): void {
  const fault = nameFault(name, maxNameLength)
  if (fault) throw new RegistrationRefused('BAD_TOPIC_NAME', `the topic name ${fault}: ${shown(name)}`)
}

const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/ // oxlint-disable-line no-control-regex -- they are what is looked for

function nameFault(name: string, maxLength: number): string | undefined {
  if (name === '') return 'is empty'
  if (name.length > maxLength) return `has ${name.length} characters, the limit is ${maxLength}`
  return CONTROL_CHARACTER.test(name) ? 'has a control character' : undefined
}

function shown(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name)
}

/** The holder of the id, if it has a right to it that this registration does not have (Apache 5.x, stateVersion). */
export function rightfulHolder(group: BrokerGroup | undefined, head: RegistrationHead): Broker | undefined {
  return group?.brokers.find(
    ({ id, addr, stateVersion }) =>
      id === head.brokerId && addr !== head.brokerAddr && stateVersion > head.dataVersion.stateVersion,
  )
}

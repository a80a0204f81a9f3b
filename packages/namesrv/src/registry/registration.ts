import type { DataVersion, RegisterBrokerBody, TopicConfig, TopicQueueMappingInfo } from '@gantrymq/protocol'
import type { Long } from '@gantrymq/remoting'
import type { Broker, BrokerGroup } from './broker-group.ts'
import type { MinBrokerChange, Removal } from './broker-changes.ts'
import type { QueueSettings } from './queue-settings.ts'

/** The broker that a request is about. */
export interface BrokerIdentity {
  readonly clusterName: string
  readonly brokerName: string
  /** `ip:port`. */
  readonly brokerAddr: string
  readonly brokerId: Long
}

/** A registration without its topics. */
export interface RegistrationHead extends BrokerIdentity {
  readonly haServerAddr?: string | undefined
  /** 5.x. */
  readonly zoneName?: string | undefined
  /** Milliseconds of silence after which the broker expires. Default 120,000, also for 0 and negative values. */
  readonly heartbeatTimeoutMillis?: number | undefined
  /** 5.x brokers send true or false; absent from older brokers. */
  readonly enableActingMaster?: boolean | undefined
  /** The connection it came on. */
  readonly peer: number
  /** The IP address of that connection. */
  readonly host?: string | undefined
  readonly dataVersion: DataVersion
  /** CRC-32 of the body as it came; undefined if not known. */
  readonly checksum?: number | undefined
  /** Null: the broker did not mention them, and the known ones stay. */
  readonly filterServers: readonly string[] | null
}

/** A whole registration. */
export interface BrokerRegistration extends Omit<RegistrationHead, 'dataVersion' | 'filterServers'> {
  readonly body: RegisterBrokerBody
}

/**
 * Which topics of a registration go into the table: `all`; only those that are `missing` there, because the data
 * version is already known; or `none`, because they do not count or are known to be there.
 */
export type TopicsWanted = 'all' | 'missing' | 'none'

/** A registration in progress, to pass its topics with. No longer valid once the broker left or registered again. */
export interface RegistrationToken {
  readonly broker: Broker
  readonly generation: number
  readonly wanted: TopicsWanted
  readonly head: RegistrationHead
  /** The data version is that of the last complete registration. */
  readonly repeated: boolean
  alterations: number
  /** Topics passed or skipped so far. */
  count: number
  /** A topic was new to the table, or was left out. */
  unsettled: boolean
  /** Topics were left out because the broker had lost its role in the meantime. */
  leftOut: boolean
  hasMappings: boolean
  /** The group's `writes` if only this registration has written since it began. */
  writes: number
  /** Names passed so far; undefined unless unlisted topics are to be deleted. */
  readonly listed: Set<string> | undefined
}

/**
 * A registration without effect: another broker holds the id with a higher stateVersion (DLedger, controller), or a
 * newer connection holds the broker or its id; see BrokerDirectory.
 */
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
  /** The brokers that this one replaced, if any. */
  readonly replaced?: Removal
  readonly changes: readonly MinBrokerChange[]
}

/** What some topics of a registration changed. */
export interface AppliedTopics {
  /** Topics that no broker had before. */
  readonly added: string[]
  /** Topics that this broker name had with other settings. */
  readonly changed: { readonly topic: string; readonly before: QueueSettings; readonly after: QueueSettings }[]
}

export interface CompletedRegistration {
  /**
   * With deleteTopicWithBrokerRegistration: topics that the broker no longer lists; `gone` if no other broker has
   * them.
   */
  readonly deleted: readonly { readonly topic: string; readonly gone: boolean }[]
}

export type RegisterOutcome = IgnoredRegistration | (BegunRegistration & AppliedTopics & CompletedRegistration)

/** What QUERY_DATA_VERSION (322) answers. */
export interface DataVersionAnswer {
  /** The broker should register its topics. */
  readonly changed: boolean
  /** The data version that the table knows. */
  readonly stored?: DataVersion
}

/** Limits on what peers may put into the table. */
export interface RegistrationLimits {
  /** Most bytes of a name of a topic, broker, cluster or zone, or of an address, in UTF-8. Default 255. */
  readonly maxNameLength: number
  /** Most topics of one registration. Default 200,000. */
  readonly maxTopicsPerRegistration: number
  /** Most registered brokers. Default 10,000. */
  readonly maxBrokers: number
  /** Most brokers that one connection holds. Default 64. */
  readonly maxBrokersPerConnection: number
  /** Most brokers that the connections from one IP address hold. Default 5,000. */
  readonly maxBrokersPerAddress: number
}

export const defaultLimits: RegistrationLimits = {
  maxNameLength: 255,
  maxTopicsPerRegistration: 200_000,
  maxBrokers: 10_000,
  maxBrokersPerConnection: 64,
  maxBrokersPerAddress: 5000,
}

/** Most filter servers of one broker. Apache's brokers start them by the option filterServerNums, whose default is 0. */
const MAX_FILTER_SERVERS = 256
/** Most queues of one static topic that a broker maps. */
const MAX_MAPPED_QUEUES = 16_384

export type RegistrationRefusalCode =
  | 'BAD_NAME'
  | 'BAD_TOPIC_NAME'
  | 'BAD_MAPPING'
  | 'TOO_MANY_TOPICS'
  | 'TOO_MANY_FILTER_SERVERS'
  | 'TOO_MANY_BROKERS'

/** A registration that exceeds a limit or has a bad name. It has had no effect. */
export class RegistrationRefused extends Error {
  override readonly name = 'RegistrationRefused'
  readonly code: RegistrationRefusalCode

  constructor(code: RegistrationRefusalCode, message: string) {
    super(message)
    this.code = code
  }
}

/** Checks everything that the table keeps of a registration besides its topics. @throws RegistrationRefused */
export function checkHead(head: RegistrationHead, limits: RegistrationLimits): void {
  for (const field of ['clusterName', 'brokerName', 'brokerAddr'] as const) checkField(field, head[field], limits)
  for (const field of ['haServerAddr', 'zoneName'] as const) if (head[field]) checkField(field, head[field], limits)
  const { filterServers } = head
  if (filterServers === null) return
  if (filterServers.length > MAX_FILTER_SERVERS) {
    throw new RegistrationRefused(
      'TOO_MANY_FILTER_SERVERS',
      `${filterServers.length} filter servers of one broker, the limit is ${MAX_FILTER_SERVERS}`,
    )
  }
  for (const server of filterServers) checkField('a filter server', server, limits)
}

function checkField(field: string, value: string, { maxNameLength }: RegistrationLimits): void {
  const fault = nameFault(value, maxNameLength)
  if (fault) throw new RegistrationRefused('BAD_NAME', `${field} ${fault}: ${shown(value)}`)
}

/** Checks the static topics of a registration. @throws RegistrationRefused naming the first bad one. */
export function checkMappings(
  mappings: Iterable<TopicQueueMappingInfo>,
  count: number,
  { maxNameLength, maxTopicsPerRegistration }: RegistrationLimits,
): void {
  const refuse = (why: string): never => {
    throw new RegistrationRefused('BAD_MAPPING', why)
  }
  if (count > maxTopicsPerRegistration) {
    refuse(`${count} static topics in one registration, the limit is ${maxTopicsPerRegistration}`)
  }
  for (const { topic, bname, scope, currIdMap } of mappings) {
    for (const text of [topic, bname, scope]) {
      // Apache's scope of an ordinary static topic is __global__; an empty text is harmless.
      const fault = text === '' ? undefined : nameFault(text, maxNameLength)
      if (fault) refuse(`a static topic has a name that ${fault}: ${shown(text)}`)
    }
    if (currIdMap.size > MAX_MAPPED_QUEUES) {
      refuse(`the static topic ${shown(topic)} has ${currIdMap.size} queues, the limit is ${MAX_MAPPED_QUEUES}`)
    }
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

const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/ // oxlint-disable-line no-control-regex -- the pattern is for control characters

function nameFault(name: string, maxLength: number): string | undefined {
  if (name === '') return 'is empty'
  // A UTF-16 unit takes up to three bytes, so the bytes of most names need not be counted.
  const bytes = name.length * 3 > maxLength ? Buffer.byteLength(name) : 0
  if (bytes > maxLength) return `has ${bytes} bytes, the limit is ${maxLength}`
  return CONTROL_CHARACTER.test(name) ? 'has a control character' : undefined
}

function shown(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}…` : name)
}

/** The broker at another address that holds the id with a higher stateVersion than this registration (Apache 5.x). */
export function holderOfHigherState(group: BrokerGroup | undefined, head: RegistrationHead): Broker | undefined {
  return group?.brokers.find(
    ({ id, addr, stateVersion }) =>
      id === head.brokerId && addr !== head.brokerAddr && stateVersion > head.dataVersion.stateVersion,
  )
}

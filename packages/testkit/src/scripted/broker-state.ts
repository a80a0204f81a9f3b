import {
  AUTO_CREATE_TOPIC,
  deadLetterTopicOf,
  type Host,
  readMessageProperties,
  retryTopicOf,
  type SetMessageRequestMode,
  type TopicRoute,
} from '@gantrymq/protocol'
import type { Clock, Peer } from '@gantrymq/remoting'
import { Members } from './members.ts'
import { type LogEntry, MessageLog, type NewMessage, type Topic } from './message-log.ts'
import { PopLedger } from './pop-ledger.ts'
import { QueueLocks } from './queue-locks.ts'
import { WaitingPulls } from './waiting-pulls.ts'

export interface BrokerSettings {
  readonly clock: Clock
  /** Name of the broker group. Default `broker-a`. */
  readonly name: string
  /** 0, the default, is the master. */
  readonly id: number
  readonly cluster: string
  /** Which release line it behaves as. `4.9` answers code 3 to requests that only 5.x has. Default `5.x`. */
  readonly release: '4.9' | '5.x'
  /** Whether a send to a missing topic creates it. Default true, as in Apache. */
  readonly autoCreateTopics: boolean
  /** `by-hand`: delayed messages wait for `deliverDelayed`. Default `at-once`: delays are ignored. */
  readonly delays: 'at-once' | 'by-hand'
  /** False: a new group has no offset (code 22), as on a broker whose oldest messages are on disk only. Default true. */
  readonly startsAtZero: boolean
  /** The broker id in the answers to pulls, from which the next pull should read: 1 suggests the slave. Default 0. */
  readonly suggests: number
  /** The route with the queues of all brokers, for QUERY_ASSIGNMENT. */
  readonly routeOf: (topic: string) => TopicRoute | null
}

/** The settings of a group: the part of Apache's SubscriptionGroupConfig that affects clients. */
export interface GroupSettings {
  /** Default 16. */
  retryMaxTimes: number
  /** Default true. */
  consumeEnable: boolean
}

const DELAY_LEVELS = 18

/** The state of a scripted broker. Its handlers are functions on it. */
export class BrokerState {
  readonly settings: BrokerSettings
  readonly log: MessageLog
  readonly members = new Members()
  readonly locks = new QueueLocks()
  readonly pops = new PopLedger()
  readonly waiting: WaitingPulls
  /** Committed offsets by `topic@group@queueId`. */
  readonly offsets = new Map<string, number>()
  /** The settings of groups, created at the first use. */
  readonly groups = new Map<string, GroupSettings>()
  /** The request modes by `topic@group`. */
  readonly requestModes = new Map<string, SetMessageRequestMode>()
  /** Messages that are waiting for the end of their delay. */
  delayed: NewMessage[] = []
  /** Undecided half messages. */
  readonly halves = new Set<LogEntry>()
  readonly host: () => Host

  constructor(settings: BrokerSettings, host: () => Host) {
    this.settings = settings
    this.host = host
    this.log = new MessageLog(host)
    this.waiting = new WaitingPulls(settings.clock)
    if (settings.autoCreateTopics) this.log.setTopic(AUTO_CREATE_TOPIC, { readQueues: 8, perm: 7 })
    this.log.setTopic('SCHEDULE_TOPIC_XXXX', { readQueues: DELAY_LEVELS })
    this.log.setTopic('RMQ_SYS_TRANS_HALF_TOPIC', { readQueues: 1 })
  }

  get now(): number {
    return this.settings.clock.now()
  }

  get isModern(): boolean {
    return this.settings.release === '5.x'
  }

  topic(name: string): Topic | undefined {
    return this.log.topics.get(name)
  }

  group(name: string): GroupSettings {
    const known = this.groups.get(name) ?? { retryMaxTimes: 16, consumeEnable: true }
    this.groups.set(name, known)
    return known
  }

  retryTopic(group: string): string {
    return this.#innerTopic(retryTopicOf(group))
  }

  deadLetterTopic(group: string): string {
    return this.#innerTopic(deadLetterTopicOf(group))
  }

  #innerTopic(name: string): string {
    if (this.topic(name) === undefined) this.log.setTopic(name, { readQueues: 1 })
    return name
  }

  /** Stores a message, at once or after its delay, and answers the requests that wait for it. */
  put(message: NewMessage): LogEntry {
    const delay = Number(message.properties.get('DELAY') ?? 0)
    const isTimed = ['TIMER_DELIVER_MS', 'TIMER_DELAY_SEC', 'TIMER_DELAY_MS'].some(name => message.properties.has(name))
    if (!(delay > 0 || isTimed)) return this.#append(message)
    const due = timeUp(message)
    if (this.settings.delays === 'at-once') return this.#append(due)
    this.delayed.push(due)
    const queueId = Math.min(Math.max(delay, 1), DELAY_LEVELS) - 1
    const properties = new Map([...message.properties, ...due.properties])
    return this.#append({ ...message, topic: 'SCHEDULE_TOPIC_XXXX', queueId, properties })
  }

  /** Delivers all delayed messages. */
  deliverDelayed(): void {
    for (const message of this.delayed.splice(0)) this.#append(message)
  }

  #append(message: NewMessage): LogEntry {
    const entry = this.log.put(message, this.now)
    this.waiting.wake(`pull ${message.topic}@${message.queueId}`)
    this.waiting.wake(`pop ${message.topic}`)
    return entry
  }

  /** Calls `notify` for every connected consumer of these groups. */
  notifyConsumers(groups: readonly string[], notify: (peer: Peer, group: string) => void): void {
    for (const group of groups) {
      for (const { peer } of this.members.consumers.get(group)?.members.values() ?? []) {
        if (peer.isOpen) notify(peer, group)
      }
    }
  }
}

/** The message as a broker delivers it after its delay: Apache's ScheduleMessageService.messageTimeUp. */
function timeUp(message: NewMessage): NewMessage {
  const properties = new Map(message.properties)
  properties.delete('DELAY')
  properties.set('REAL_TOPIC', message.topic)
  properties.set('REAL_QID', String(message.queueId))
  return { ...message, properties }
}

/** The key of a committed offset. */
export function offsetKey(topic: string, group: string, queueId: number): string {
  return `${topic}@${group}@${queueId}`
}

/** The text at the end of many remarks of 5.x. */
export const FAQ = '\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.'

export function hostOf(address: string): Host {
  const colon = address.lastIndexOf(':')
  return { ip: address.slice(0, colon).replace(/^::ffff:/, ''), port: Number(address.slice(colon + 1)) }
}

export function propertiesOf(text: string | undefined): Map<string, string> {
  return readMessageProperties(text ?? '')
}

import {
  connectionRequests,
  type ConsumerConnections,
  isRetryTopic,
  responseCodes,
  type SubscriptionData,
} from '@gantrymq/protocol'
import { ClientError } from '../../errors.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { Problems } from '../../problems.ts'
import type { KnownBroker } from '../../routes/broker-table.ts'

export interface GroupCheckOptions {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  readonly problems: Problems
  /** What this member subscribes to. */
  readonly subscriptions: () => readonly SubscriptionData[]
  /** Whether the broker at an address took the last heartbeat of this member. */
  readonly admits: (address: string) => boolean
}

/** How often a member looks at its group, in milliseconds, and how long after the start the first time. */
export const GROUP_CHECK_MS = 60_000
export const FIRST_CHECK_MS = 5000
/** A connection that was given up may stay open for so long, in milliseconds: until then one client may be seen twice. */
export const TWICE_AGAIN_MS = 40_000
/** So many looks without a difference end the problem: members that differ overwrite each other at the broker. */
const SAME_LOOKS = 3

/** The group as one broker has it. */
interface Look {
  readonly broker: string
  /** `missing` if the broker takes this member's heartbeats and lists no member; undefined if it does not tell. */
  readonly members: ConsumerConnections | 'missing' | undefined
}

interface BrokerMembers {
  readonly broker: string
  readonly members: ConsumerConnections
}

/**
 * Looks at the members of the group as each broker has them: members that subscribe differently, and two processes with one client id,
 * steal each other's messages without any error; and a broker that does not know the group takes heartbeats and lists no member.
 */
export class GroupCheck {
  readonly #options: GroupCheckOptions
  #sameLooks = 0
  /** When this client was seen twice, by `Clock.elapsed`. */
  #twiceAt: number | undefined

  constructor(options: GroupCheckOptions) {
    this.#options = options
  }

  /** True if it should look again in TWICE_AGAIN_MS. Never rejects. */
  async look(): Promise<boolean> {
    const { instance, subscriptions } = this.#options
    const brokers = instance.brokers.masters().filter(({ address }) => instance.isConnected(address))
    const before = subscriptions()
    const looks = await Promise.all(brokers.map(broker => this.#lookAt(broker)))
    this.#findMissing(looks)
    const told = looks.flatMap(({ broker, members }) => (typeof members === 'object' ? [{ broker, members }] : []))
    if (told.length === 0) return false
    // The user may have changed the subscriptions meanwhile.
    if (before.every((each, at) => each === subscriptions()[at])) this.#compare(told)
    return this.#countOwn(told)
  }

  async #lookAt({ name: broker, address }: KnownBroker): Promise<Look> {
    const { instance, group, admits } = this.#options
    try {
      return { broker, members: (await this.#membersAt(address)) ?? undefined }
    } catch (error) {
      // A broker may not allow it.
      instance.log.debug({ group, broker, error: String(error) }, 'members of the group not known')
      return { broker, members: isNotOnline(error) && admits(address) ? 'missing' : undefined }
    }
  }

  /** The members at a broker. One that has just restarted knows none before it gets a heartbeat. */
  async #membersAt(address: string): Promise<ConsumerConnections | null> {
    const { instance, group } = this.#options
    const ask = async () => {
      const header = { consumerGroup: group }
      return (await instance.call(address, connectionRequests.GET_CONSUMER_CONNECTION_LIST, { header })).body
    }
    try {
      return await ask()
    } catch (error) {
      if (!isNotOnline(error)) throw error
      await instance.heartbeat()
      return await ask()
    }
  }

  #findMissing(looks: readonly Look[]): void {
    const { problems } = this.#options
    const missing = looks.filter(({ members }) => members === 'missing').map(({ broker }) => broker)
    if (missing.length > 0) {
      const text = `${missing.join(', ')} takes the heartbeats of this consumer, and lists no member of its group, as a broker does that does not know the group. Create the group, or allow brokers to create it (autoCreateSubscriptionGroup)`
      problems.raise('GROUP_MISSING', text)
    } else if (looks.some(({ members }) => members !== undefined)) problems.clear('GROUP_MISSING')
  }

  #compare(looks: readonly BrokerMembers[]): void {
    const { problems, subscriptions } = this.#options
    for (const { broker, members } of looks) {
      const difference = differenceOf(subscriptions(), [...members.subscriptions.values()])
      if (difference === undefined) continue
      this.#sameLooks = 0
      const text = `members of the group subscribe differently, so that messages are lost or stay: ${difference} (as ${broker} has it from another member). Give all members of the group the same subscriptions`
      return problems.raise('DIFFERENT_SUBSCRIPTIONS', text)
    }
    if (++this.#sameLooks >= SAME_LOOKS) problems.clear('DIFFERENT_SUBSCRIPTIONS')
  }

  #countOwn(looks: readonly BrokerMembers[]): boolean {
    const { instance, problems } = this.#options
    const { clientId, clock } = instance
    const [twice] = looks
      .map(({ broker, members }) => ({ broker, own: members.connections.filter(each => each.clientId === clientId) }))
      .filter(({ own }) => own.length > 1)
    if (twice === undefined) {
      this.#twiceAt = undefined
      problems.clear('CLIENT_ID_TWICE')
      return false
    }
    const { broker, own } = twice
    this.#twiceAt ??= clock.elapsed()
    if (clock.elapsed() - this.#twiceAt < TWICE_AGAIN_MS) return true
    const where = own.map(({ clientAddr }) => clientAddr).join(' and ')
    const text = `two processes have the client id ${clientId} in this group: ${broker} has connections of it from ${where}. Each takes the queues of the other; give them different instance names`
    problems.raise('CLIENT_ID_TWICE', text)
    return false
  }
}

function isNotOnline(error: unknown): boolean {
  return error instanceof ClientError && error.responseCode === responseCodes.CONSUMER_NOT_ONLINE
}

/** The first difference between this member's subscriptions and those that a broker has of the group. */
function differenceOf(own: readonly SubscriptionData[], others: readonly SubscriptionData[]): string | undefined {
  const at = new Map(others.map(each => [each.topic, each]))
  for (const each of own) {
    if (isRetryTopic(each.topic)) continue
    const other = at.get(each.topic)
    if (other === undefined) return `${each.topic} is subscribed here, and not there`
    if (shown(other) !== shown(each))
      return `${each.topic} is subscribed with ${shown(each)} here, and with ${shown(other)} there`
  }
  const more = others.find(({ topic }) => !isRetryTopic(topic) && own.every(each => each.topic !== topic))
  return more === undefined ? undefined : `${more.topic} is not subscribed here, but there`
}

function shown({ subString, expressionType }: SubscriptionData): string {
  return `${expressionType === 'TAG' || !expressionType ? '' : `${expressionType} `}${JSON.stringify(subString)}`
}

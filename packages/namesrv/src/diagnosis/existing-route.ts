import {
  type BrokerData,
  DEAD_LETTER_PREFIX,
  isReadable,
  isWriteable,
  MASTER_ID,
  type QueueData,
  type TopicRoute,
} from '@gantrymq/protocol'
import { filterByZone } from '../registry/zone-filter.ts'
import { addressFault, isLoopback } from './broker-address.ts'
import {
  argument,
  departureText,
  type Finding,
  type Inquiry,
  listed,
  replacedNames,
  sameNames,
  SHOWN,
} from './finding.ts'
import { orderConfig } from './order-config.ts'

/** What keeps clients from using a route that exists, the worst first. */
export function findingsOfRoute(route: TopicRoute, inquiry: Inquiry): Finding[] {
  const names = new Set(route.queueDatas.map(queues => queues.brokerName))
  const isInRoute = (brokerName: string) => names.has(brokerName)
  return [
    ...zones(route, inquiry),
    ...addresses(route, inquiry),
    ...masters(route, inquiry),
    ...writing(route, inquiry),
    ...reading(route, inquiry),
    ...unreadQueues(route, inquiry),
    ...orderConfig(route, inquiry),
    ...sameNames(inquiry, isInRoute),
    ...replacedNames(inquiry, isInRoute),
    ...missingMembers(inquiry),
  ]
}

function zones(route: TopicRoute, { zone }: Inquiry): Finding[] {
  const known = [...new Set(route.brokerDatas.map(broker => broker.zoneName ?? ''))].sort()
  const named = known.map(name => (name === '' ? 'no zone' : `the zone ${name}`))
  if (zone !== undefined && filterByZone(route, zone).brokerDatas.length === 0) {
    return [
      {
        code: 'OTHER_ZONE',
        message: `A client in the zone ${zone} gets an empty route: the brokers with this topic are in ${listed(named)}.`,
        hints: [
          `${known.some(name => name !== '') ? 'Set the zone of the client to one of these, start' : 'Start'} a broker of its zone with this topic, or turn off its zone mode (rocketmq.zone.mode=false).`,
        ],
      },
    ]
  }
  if (zone !== undefined || known.every(name => name === '')) return []
  const message = `The brokers with this topic are in ${listed(named)}; a client in zone mode gets those of its own zone only.`
  return [{ message, hints: ['?zone=NAME shows what a client of a zone gets.'] }]
}

function addresses(route: TopicRoute, { brokers, status }: Inquiry): Finding[] {
  const own = status.ownAddresses()
  const hosts = new Map(brokers.map(({ brokerName, brokerAddr, host }) => [`${brokerName} ${brokerAddr}`, host]))
  const faults = route.brokerDatas.flatMap(({ brokerName, brokerAddrs }) =>
    Array.from(brokerAddrs).flatMap(([id, address]) => {
      const host = hosts.get(`${brokerName} ${address}`)
      const fault = addressFault(address, host, own)
      return fault === undefined ? [] : { brokerName, id, address, host, ...fault }
    }),
  )
  return faults.slice(0, SHOWN).map(({ brokerName, address, host, why, certain }) => {
    const perhaps = host === undefined || isLoopback(host) ? '' : `, perhaps ${host}`
    const advice = `Set brokerIP1 in the broker.conf of ${brokerName} to the IP address that clients use${perhaps} (without port, comment or quotes), and restart the broker.`
    if (certain) {
      const message = `Clients cannot reach ${brokerName}: its address ${address} ${why}.`
      return { code: 'UNREACHABLE_ADDRESS', message, hints: [advice] }
    }
    return {
      message: `The address ${address} of ${brokerName} ${why}.`,
      hints: [`If clients cannot reach it: ${advice}`],
    }
  })
}

function masters(route: TopicRoute, { status, now }: Inquiry): Finding[] {
  const without = route.brokerDatas.filter(broker => !hasMaster(broker))
  if (without.length === 0) return []
  const names = without.map(broker => broker.brokerName)
  const isAll = without.length === route.brokerDatas.length
  const left = status.departures
    .brokers()
    .filter(({ broker }) => names.includes(broker.brokerName) && isZero(broker.brokerId))
  const why = left.slice(-SHOWN).map(departure => `${departureText(departure, now)}.`)
  const start = `Start the master of ${listed(names)}: a broker with brokerId=0${why.length > 0 ? '' : '; the others of its name have other ids'}.`
  return [
    {
      ...(isAll && { code: 'NO_MASTER' }),
      message: isAll
        ? `The topic has a route, but none of its brokers is a master: of ${listed(names)} only slaves are registered.`
        : `Of ${listed(names)} only slaves are registered: consumers read from them, producers use the other brokers.`,
      hints: [
        ...why,
        start,
        ...(isAll ? ['Consumers can read from the slaves; producers fail until a master registers.'] : []),
      ],
    },
  ]
}

function writing(route: TopicRoute, inquiry: Inquiry): Finding[] {
  const withMaster = new Set(route.brokerDatas.filter(hasMaster).map(broker => broker.brokerName))
  const queues = route.queueDatas.filter(({ brokerName }) => withMaster.has(brokerName))
  const closed = queues.filter(({ perm, writeQueueNums }) => !isWriteable(perm) || writeQueueNums <= 0)
  if (closed.length === 0) return []
  const isAll = closed.length === queues.length
  const reasons = closed.slice(0, SHOWN).map(queue => whyClosed(queue, route, inquiry))
  const what = reasons.map(({ why }) => why).join('; ')
  return [
    {
      ...(isAll && { code: 'NOT_WRITABLE' }),
      message: isAll
        ? `The topic has a route, but none of its masters accepts messages: ${what}.`
        : `Some of its masters accept no messages: ${what}.`,
      hints: reasons.map(({ hint }) => hint),
    },
  ]
}

function whyClosed(queue: QueueData, route: TopicRoute, inquiry: Inquiry) {
  const { topic, status } = inquiry
  const { brokerName, perm, writeQueueNums } = queue
  const target = targetOf(queue, route, topic)
  if (isWriteable(perm)) {
    const hint = `Give the topic write queues on ${brokerName}: mqadmin updateTopic ${target} -w 8.`
    return { why: `on ${brokerName} it has ${writeQueueNums} write queues`, hint }
  }
  if (status.isWiped(brokerName)) {
    const why = `${brokerName} was made read-only here (mqadmin wipeWritePerm)`
    return { why, hint: `mqadmin addWritePerm -b ${argument(brokerName)} makes it writable again.` }
  }
  return withoutPermission(queue, { lacks: 'write', isPermitted: isWriteable, route }, inquiry)
}

function reading(route: TopicRoute, inquiry: Inquiry): Finding[] {
  const { topic } = inquiry
  const { queueDatas } = route
  const closed = queueDatas.filter(({ perm, readQueueNums }) => !isReadable(perm) || readQueueNums <= 0)
  if (closed.length === 0) return []
  const isAll = closed.length === queueDatas.length
  const reasons = closed.slice(0, SHOWN).map(queue => whyUnread(queue, route, inquiry))
  const what = reasons.map(({ why }) => why).join('; ')
  const isDead = topic.startsWith(DEAD_LETTER_PREFIX)
  return [
    {
      ...(isAll && { code: 'NOT_READABLE' }),
      message: isAll
        ? `Consumers get no message of the topic: ${what}.`
        : `Consumers get no message from some brokers: ${what}.`,
      hints: [
        ...(isDead ? ['Older brokers create dead-letter topics without read permission.'] : []),
        ...reasons.map(({ hint }) => hint),
      ],
    },
  ]
}

function whyUnread(queue: QueueData, route: TopicRoute, inquiry: Inquiry) {
  const { brokerName, perm, readQueueNums } = queue
  if (isReadable(perm)) {
    const why = `on ${brokerName} it has ${readQueueNums} read queues`
    return {
      why,
      hint: `Give the topic read queues: mqadmin updateTopic ${targetOf(queue, route, inquiry.topic)} -r 8.`,
    }
  }
  return withoutPermission(queue, { lacks: 'read', isPermitted: isReadable, route }, inquiry)
}

/** A topic that every broker makes with both permissions. */
const SELF_TEST_TOPIC = 'SELF_TEST_TOPIC'

interface Permission {
  readonly lacks: 'read' | 'write'
  readonly isPermitted: (perm: number) => boolean
  readonly route: TopicRoute
}

/** A broker takes what its brokerPermission lacks from all its topics (BrokerController.registerBrokerAll), and a topic may lack it itself. */
function withoutPermission(queue: QueueData, { lacks, isPermitted, route }: Permission, { topic, status }: Inquiry) {
  const { brokerName, perm } = queue
  const ofBroker = status.route(SELF_TEST_TOPIC)?.queueDatas.find(each => each.brokerName === brokerName)
  if (ofBroker !== undefined && !isPermitted(ofBroker.perm)) {
    const why = `all topics of ${brokerName} have no ${lacks} permission (its brokerPermission)`
    return {
      why,
      hint: `Give it back: mqadmin updateBrokerConfig ${brokerFlag(queue, route)} -k brokerPermission -v 6.`,
    }
  }
  const why = `on ${brokerName} it has no ${lacks} permission (perm ${perm})`
  const perhaps = `If all topics of ${brokerName} lack it, the cause is brokerPermission in its broker.conf.`
  const set = `Set the permission of the topic: mqadmin updateTopicPerm ${targetOf(queue, route, topic)} -p 6.`
  return { why, hint: ofBroker === undefined ? `${set} ${perhaps}` : set }
}

/** Messages in queues beyond the read queues are stored, and no consumer asks for them. */
function unreadQueues(route: TopicRoute, { topic }: Inquiry): Finding[] {
  const unread = route.queueDatas.filter(({ perm, readQueueNums, writeQueueNums }) => {
    return isReadable(perm) && readQueueNums > 0 && readQueueNums < writeQueueNums
  })
  if (unread.length === 0) return []
  const what = unread.map(({ brokerName, readQueueNums, writeQueueNums }) => {
    return `${writeQueueNums} are written and ${readQueueNums} read on ${brokerName}`
  })
  return [
    {
      code: 'UNREAD_QUEUES',
      message: `Consumers do not get all messages, because the topic has fewer read than write queues: ${listed(what)}.`,
      hints: unread.slice(0, SHOWN).map(queue => {
        const count = queue.writeQueueNums
        const target = targetOf(queue, route, topic)
        return `Set as many read queues as write queues: mqadmin updateTopic ${target} -r ${count} -w ${count}.`
      }),
    },
  ]
}

/** Brokers that left and are not back: the route may have had their queues, too. */
function missingMembers({ status, brokers, now }: Inquiry): Finding[] {
  const present = new Set(brokers.map(broker => broker.brokerName))
  const gone = new Map(status.departures.brokers().map(departure => [departure.broker.brokerName, departure]))
  return Array.from(gone.values())
    .filter(({ broker }) => !present.has(broker.brokerName))
    .slice(-SHOWN)
    .map(departure => ({
      message: `${departureText(departure, now)}.`,
      hints: ['If it had queues of this topic, they are missing until it registers again.'],
    }))
}

/** The arguments of a command for the topic on one broker. */
function targetOf(queue: QueueData, route: TopicRoute, topic: string): string {
  return `${brokerFlag(queue, route)} -t ${argument(topic)}`
}

function brokerFlag({ brokerName }: QueueData, { brokerDatas }: TopicRoute): string {
  const addresses = brokerDatas.find(broker => broker.brokerName === brokerName)?.brokerAddrs
  return `-b ${argument(addresses?.get(MASTER_ID) ?? 'ADDRESS')}`
}

function hasMaster({ brokerAddrs }: BrokerData): boolean {
  return brokerAddrs.has(MASTER_ID)
}

function isZero(id: number | bigint): boolean {
  return Number(id) === MASTER_ID
}

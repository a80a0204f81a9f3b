import type { QueueData, TopicRoute } from '@gantrymq/protocol'
import { argument, type Finding, type Inquiry, listed, secondsSince } from './finding.ts'

const COMMAND = 'mqadmin updateOrderConf'
const LONGEST_SHOWN = 200

/**
 * What the order configuration of a topic, such as `broker-a:8;broker-b:8`, does to its producers: they use only its queues,
 * whether they exist or not (Java's MQClientInstance.topicRouteData2TopicPublishInfo).
 */
export function orderConfig(route: TopicRoute, inquiry: Inquiry): Finding[] {
  const { topic, status } = inquiry
  const stored = status.orderConfig(topic)
  if (stored === undefined) return []
  const entries = stored
    .replace(/;+$/, '')
    .split(';')
    .map(entry => entry.split(':'))
  const queues = new Map(route.queueDatas.map(queue => [queue.brokerName, queue]))
  const faults = entries.flatMap(entry => faultOf(entry, queues, inquiry) ?? [])
  const wrong = faults.length === 0 ? '' : ` It is wrong, too: ${listed(faults)}.`
  if (route.orderTopicConf === undefined) {
    const message = `The topic has an order configuration, which clients do not get, because orderMessageEnable is false.${wrong}`
    return [{ message, hints: ['mqadmin updateNamesrvConfig -k orderMessageEnable -v true lets them get it.'] }]
  }
  const right = route.queueDatas.map(queue => `${queue.brokerName}:${queue.writeQueueNums}`).join(';')
  const put = `${COMMAND} -m put -t ${argument(topic)} -v ${argument(right)}`
  if (faults.length > 0) {
    const text = JSON.stringify(stored.slice(0, LONGEST_SHOWN))
    return [
      {
        code: 'BAD_ORDER_CONFIG',
        message: `Producers use only the queues of the order configuration ${text}, which is wrong: ${listed(faults)}.`,
        hints: [
          ...comingBack(entries, queues, inquiry),
          `Correct it: ${put}. Or remove it: ${COMMAND} -m delete -t ${argument(topic)}.`,
        ],
      },
    ]
  }
  const named = new Set(entries.map(([brokerName]) => brokerName))
  const others = [...queues.keys()].filter(brokerName => !named.has(brokerName))
  if (others.length === 0) return []
  const message = `Producers send nothing to ${listed(others)}, which the order configuration does not name.`
  return [{ message, hints: [`If they should: ${put}.`] }]
}

function faultOf(
  entry: readonly string[],
  queues: ReadonlyMap<string, QueueData>,
  inquiry: Inquiry,
): string | undefined {
  const [brokerName = '', count = ''] = entry
  if (!/^\d{1,9}$/.test(count)) return `${JSON.stringify(entry.join(':').slice(0, LONGEST_SHOWN))} is not BROKER:QUEUES`
  const queue = queues.get(brokerName)
  if (queue === undefined) return `${brokerName} ${whereIs(brokerName, inquiry)}`
  if (Number(count) <= queue.writeQueueNums) return undefined
  return `${brokerName} has ${queue.writeQueueNums} write queues and not ${count}`
}

/** A broker that left and is needed makes the configuration right by its return. */
function comingBack(
  entries: readonly (readonly string[])[],
  queues: ReadonlyMap<string, QueueData>,
  inquiry: Inquiry,
): string[] {
  const names = entries.map(([brokerName = '']) => brokerName)
  const gone = names.filter(name => !queues.has(name) && whereIs(name, inquiry).startsWith('left'))
  return gone.length === 0 ? [] : [`If ${listed(gone)} is still needed, start it again.`]
}

function whereIs(brokerName: string, { status, brokers, now }: Inquiry): string {
  if (brokers.some(broker => broker.brokerName === brokerName)) return 'does not have the topic'
  const left = status.departures.brokers().findLast(({ broker }) => broker.brokerName === brokerName)
  return left === undefined ? 'is not registered here' : `left ${secondsSince(left.at, now)} s ago`
}

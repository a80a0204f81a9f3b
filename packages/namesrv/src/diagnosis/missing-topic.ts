import {
  AUTO_CREATE_TOPIC,
  DEAD_LETTER_PREFIX,
  isDeadLetterTopic,
  isRetryTopic,
  isSystemTopic,
  RETRY_PREFIX,
  topicProblem,
} from '@gantrymq/protocol'
import type { Sliced } from '@gantrymq/remoting'
import type { Departure, DeletedTopic } from '../registry/departures.ts'
import {
  argument,
  clusterFlag,
  departureText,
  type Finding,
  type Inquiry,
  listed,
  replacedNames,
  sameNames,
  secondsSince,
  SHOWN,
} from './finding.ts'
import { similarNames } from './similar-names.ts'

/** Why no broker registered here has a topic, the most likely cause first. Searches all topics, so it works in slices. */
export function* findingsOfMissing(inquiry: Inquiry): Sliced<Finding[]> {
  const { topic, status, brokers } = inquiry
  const any = () => true
  if (brokers.length === 0) return [noBrokers(inquiry), ...replacedNames(inquiry, any)]
  const similar = similarHints(topic, yield* similarNames(topic, status.topics()))
  const departure = status.departures.ofTopic(topic)
  const deletion = status.departures.deletionOf(topic)
  const found = departure
    ? left(departure, inquiry)
    : deletion
      ? deleted(deletion, inquiry)
      : neverSeen(inquiry, similar)
  const isOnlyName = found.code === 'BAD_NAME'
  return [
    found,
    ...(isOnlyName ? [] : [...sameNames(inquiry, any), ...replacedNames(inquiry, any)]),
    ...(departure || deletion || isOnlyName ? [] : departures(inquiry)),
  ]
}

function noBrokers(inquiry: Inquiry): Finding {
  return {
    code: 'NO_BROKERS',
    message: 'No broker is registered here, so no topic has a route.',
    hints: [
      ...departures(inquiry).map(({ message }) => message),
      'Check that namesrvAddr of the brokers contains the address of this server, and look for registration errors in their logs.',
    ],
  }
}

/** Brokers that left and are not back. */
function departures({ status, brokers, now }: Inquiry): Finding[] {
  const present = new Set(brokers.map(broker => `${broker.brokerName} ${broker.brokerId}`))
  return status.departures
    .brokers()
    .filter(({ broker }) => !present.has(`${broker.brokerName} ${broker.brokerId}`))
    .slice(-SHOWN)
    .toReversed()
    .map(departure => ({ message: `${departureText(departure, now)}.`, hints: [] }))
}

function left(departure: Departure, inquiry: Inquiry): Finding {
  const { brokers, now } = inquiry
  const { brokerName, brokerId } = departure.broker
  const message = `No broker registered here has had this topic since ${departureText(departure, now)}.`
  const isBack = brokers.some(broker => broker.brokerName === brokerName)
  if (departure.reason === 'replaced') return { code: 'BROKERS_LEFT', message, hints: [] }
  const hints = isBack
    ? [
        `${brokerName} is registered again, without this topic: it has lost its topics.json (storePathRootDir), or the topic was deleted there.`,
        `If it is needed, create it: ${createCommand(inquiry)}.`,
      ]
    : [
        departure.reason === 'request'
          ? `Start ${brokerName} (id ${brokerId}) again.`
          : `Check that ${brokerName} (id ${brokerId}) runs and reaches this server; its log has the reason.`,
        'The topic comes back when the broker registers again.',
      ]
  return { code: 'BROKERS_LEFT', message, hints }
}

function deleted({ at, brokerNames, by }: DeletedTopic, inquiry: Inquiry): Finding {
  const since = `${secondsSince(at, inquiry.now)} s ago`
  const message =
    by === 'request'
      ? `The topic was deleted here ${since} (mqadmin deleteTopic); it was on ${listed(brokerNames)}.`
      : `${listed(brokerNames)} registered ${since} without this topic, which deleted it here (deleteTopicWithBrokerRegistration).`
  const again =
    by === 'request'
      ? 'A broker that still has the topic registers it again within 30 s. Otherwise create'
      : 'If it is needed, create'
  return { code: 'TOPIC_DELETED', message, hints: [`${again} it: ${createCommand(inquiry)}.`] }
}

function neverSeen(inquiry: Inquiry, similar: readonly string[]): Finding {
  const { topic, brokers } = inquiry
  const problem = topicProblem(topic)
  if (problem !== null) {
    const hints = [...similar, 'No broker accepts this name, so that the client must use another one.']
    return { code: 'BAD_NAME', message: `There can be no such topic: ${problem}.`, hints }
  }
  const code = 'NOT_REGISTERED'
  if (isRetryTopic(topic)) return { code, ...retryTopic(topic.slice(RETRY_PREFIX.length), inquiry, similar) }
  if (isDeadLetterTopic(topic)) return { code, ...deadLetterTopic(topic.slice(DEAD_LETTER_PREFIX.length), similar) }
  const message =
    brokers.length === 1
      ? 'The one broker registered here does not have this topic.'
      : `None of the ${brokers.length} brokers registered here has this topic.`
  if (isSystemTopic(topic)) return { code, message, hints: [systemHint(topic)] }
  return { code, message, hints: [...similar, ...autoCreateHints(inquiry)] }
}

function retryTopic(group: string, inquiry: Inquiry, similar: readonly string[]): Omit<Finding, 'code'> {
  return {
    message: `No broker registered here has the retry topic of the consumer group ${group}.`,
    hints: [
      ...similar,
      `A broker creates it when the first consumer of the group ${group} connects; none has connected to a broker registered here.`,
      `If consumers run, brokers refuse the group: with autoCreateSubscriptionGroup=false, create it: mqadmin updateSubGroup ${clusterFlag(inquiry)} -g ${argument(group)}.`,
    ],
  }
}

function deadLetterTopic(group: string, similar: readonly string[]): Omit<Finding, 'code'> {
  return {
    message: `No broker registered here has the dead-letter topic of the consumer group ${group}.`,
    hints: [
      ...similar,
      `A broker creates it when the first message of the group ${group} has failed as often as its retries allow (16 times by default). As long as none has, there is no such topic, and nothing is wrong.`,
    ],
  }
}

function systemHint(topic: string): string {
  if (topic === AUTO_CREATE_TOPIC) {
    return 'Brokers register it only with autoCreateTopicEnable=true in broker.conf; without it, sending creates no topics.'
  }
  if (topic === 'RMQ_SYS_TRACE_TOPIC') return 'Brokers register it only with traceTopicEnable=true in broker.conf.'
  return 'It is a topic of RocketMQ itself, which brokers that need it create at their start; it cannot be created by hand.'
}

function autoCreateHints(inquiry: Inquiry): string[] {
  const creators = [...inquiry.status.brokersOfTopic(AUTO_CREATE_TOPIC)]
  const create = `Create it: ${createCommand(inquiry)}.`
  return creators.length > 0
    ? [
        `${AUTO_CREATE_TOPIC} is registered by ${listed(creators, 10)}: these brokers create the topic when they receive the first message for it, and consumers find it only then.`,
        create,
      ]
    : [`No broker registers ${AUTO_CREATE_TOPIC}, so sending does not create topics.`, create]
}

function createCommand(inquiry: Inquiry): string {
  return `mqadmin updateTopic ${clusterFlag(inquiry)} -t ${argument(inquiry.topic)}`
}

function similarHints(topic: string, similar: readonly string[]): string[] {
  if (similar.length === 0) return []
  const names = similar.map(name => JSON.stringify(name)).join(', ')
  if (!isRetryTopic(topic) && !isDeadLetterTopic(topic)) return [`There are topics with nearly this name: ${names}.`]
  return [`There are such topics of groups with nearly this name: ${names}.`]
}

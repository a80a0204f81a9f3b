import {
  type HeartbeatData,
  MAX_GROUP_LENGTH,
  type membershipRequests,
  PERM_READ,
  PERM_WRITE,
  responseCodes,
  retryTopicOf,
} from '@gantrymq/protocol'
import { type Command, type HandlersFor, type Peer, ResponseError } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'
import { isTagType } from '../pulling/pull-checks.ts'
import { NO_BODY } from '../remarks.ts'
import { topicSysFlagOf } from '../sending/send-checks.ts'
import { type Client, type ConsumerBeat, MAX_SUBSCRIPTION_TEXT } from '../clients/client-registry.ts'

/** A refusal names so many groups at most. */
const NAMED_GROUPS = 3
export const MAX_CLIENT_ID_LENGTH = 1024

/** Requests with which clients join and leave groups: Apache's ClientManageProcessor and ConsumerManageProcessor. */
export const clientHandlers: HandlersFor<typeof membershipRequests, BrokerContext> = {
  HEART_BEAT({ body, command, peer }, context) {
    if (body === null) throw new ResponseError(responseCodes.SYSTEM_ERROR, NO_BODY)
    checkNames(body)
    const client = clientOf(body.clientID, command, peer, context)
    const { needsSubscriptions, refused } = beatConsumers(body, client, context)
    for (const { groupName } of body.producerDataSet) {
      if (!context.clients.mayProduce(groupName, peer.id)) refused.push(groupName)
      else if (context.clients.beatProducer(groupName, client)) {
        context.log.info(
          { group: groupName, clientId: client.clientId, peer: peer.remoteAddress },
          'new producer connected',
        )
      }
    }
    if (refused.length > 0) throw tooManyGroups(refused, context)
    return { header: { IS_SUPPORT_HEART_BEAT_V2: true, IS_SUB_CHANGE: needsSubscriptions } }
  },

  UNREGISTER_CLIENT({ header: { producerGroup, consumerGroup }, peer }, { clients, notices, log }) {
    if (producerGroup !== undefined && clients.removeProducer(producerGroup, peer.id)) {
      log.info({ group: producerGroup, peer: peer.remoteAddress }, 'unregister a producer')
    }
    if (consumerGroup !== undefined && clients.removeConsumer(consumerGroup, peer.id)) {
      log.info({ group: consumerGroup, peer: peer.remoteAddress }, 'unregister a consumer')
      notices.membersChanged([consumerGroup])
    }
    return {}
  },

  GET_CONSUMER_LIST_BY_GROUP({ header: { consumerGroup } }, { clients }) {
    const consumerIdList = clients.consumerIds(consumerGroup)
    if (consumerIdList.length > 0) return { body: { consumerIdList } }
    throw new ResponseError(responseCodes.SYSTEM_ERROR, `no consumer for this group, ${consumerGroup}`)
  },

  CHECK_CLIENT_CONFIG({ body }) {
    const { expressionType } = body?.subscriptionData ?? {}
    if (expressionType === undefined || isTagType(expressionType)) return {}
    const remark = `The broker does not support consumer to filter message by ${expressionType}`
    throw new ResponseError(responseCodes.SYSTEM_ERROR, remark)
  },
}

function clientOf(clientId: string, command: Command, peer: Peer, { clock }: BrokerContext): Client {
  return {
    clientId,
    peer,
    language: command.language ?? 'OTHER',
    version: command.version,
    lastHeartbeat: clock.elapsed(),
  }
}

/** Apache's client keeps to the limit of groups itself (Validators.checkGroup); its broker keeps names of any length. */
function checkNames({ clientID, producerDataSet }: HeartbeatData): void {
  const isTooLong = producerDataSet.some(({ groupName }) => groupName.length > MAX_GROUP_LENGTH)
  if (clientID.length <= MAX_CLIENT_ID_LENGTH && !isTooLong) return
  const remark = `the clientID of a heartbeat may have ${MAX_CLIENT_ID_LENGTH} characters, and a producer group ${MAX_GROUP_LENGTH}; no group was joined`
  throw new ResponseError(responseCodes.SYSTEM_ERROR, remark)
}

function tooManyGroups(refused: readonly string[], { settings }: BrokerContext): ResponseError {
  const { maxGroupsPerConnection } = settings.options
  const named =
    refused
      .slice(0, NAMED_GROUPS)
      .map(name => name.slice(0, MAX_GROUP_LENGTH))
      .join(', ') + (refused.length > NAMED_GROUPS ? ', ...' : '')
  const limit = `a connection may have ${MAX_SUBSCRIPTION_TEXT} characters of subscriptions, and be in ${maxGroupsPerConnection} groups (maxGroupsPerConnection)`
  const remark = `${refused.length} groups of the heartbeat were not joined, the others were: ${limit}: ${named}`
  return new ResponseError(responseCodes.SYSTEM_ERROR, remark)
}

interface ConsumerBeats {
  /** Whether the client must send its subscriptions next time. A client without fingerprints always does. */
  readonly needsSubscriptions: boolean
  /** Groups that the connection may not join, because it is in too many. */
  readonly refused: string[]
}

function beatConsumers(body: HeartbeatData, client: Client, context: BrokerContext): ConsumerBeats {
  const { heartbeatFingerprint: fingerprint = 0, withoutSub: withoutSubscriptions = false } = body
  let needsSubscriptions = fingerprint === 0
  const changed: string[] = []
  const refused: string[] = []
  for (const data of body.consumerDataSet) {
    if (!context.clients.mayConsume(data, client.peer.id)) {
      refused.push(data.groupName)
      continue
    }
    const result = beatConsumer({ data, fingerprint, withoutSubscriptions }, client, context)
    if (result?.needsSubscriptions) needsSubscriptions = true
    if (result?.changed) changed.push(data.groupName)
  }
  context.notices.membersChanged(changed)
  return { needsSubscriptions, refused }
}

function beatConsumer(beat: ConsumerBeat, client: Client, context: BrokerContext) {
  const { groupName, consumeType, messageModel, subscriptionDataSet, unitMode } = beat.data
  const { settings, groups, topics, clients, log } = context
  if (settings.options.rejectPullConsumerEnable && consumeType === 'CONSUME_ACTIVELY') return undefined
  const group = groups.find(groupName)
  // A group that an operator must create first, or whose name is invalid, is left out, and its pulls are refused.
  if (group === undefined) return undefined
  const topic = retryTopicOf(groupName)
  // As in Apache the retry topic is ordered if one of the topics is; but Apache unorders it when a heartbeat leaves out subscriptions.
  const isOrdered = () => subscriptionDataSet.some(({ topic }) => topics.get(topic)?.order)
  topics.inner({
    topic,
    queueNums: group.retryQueueNums,
    perm: PERM_READ | PERM_WRITE,
    sysFlag: topicSysFlagOf({ topic, unitMode: unitMode === true }),
    ...(beat.withoutSubscriptions !== true && { order: isOrdered() }),
  })
  const result = clients.beatConsumer(beat, client)
  if (result.changed) {
    log.info({ group: groupName, consumeType, messageModel, clientId: client.clientId, peer: client.peer.remoteAddress }, 'registerConsumer info changed') // biome-ignore format: one thought
  }
  return result
}

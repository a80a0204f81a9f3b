import {
  type clientNotices,
  type offsetRequests,
  type QueueOffset,
  responseCodes,
  versionName,
} from '@gantrymq/protocol'
import { type HandlersFor, type Peer, RemotingError, ResponseError } from '@gantrymq/remoting'
import type { Client } from '../clients/client-registry.ts'
import type { BrokerContext } from '../context.ts'
import { storedRecord } from '../pulling/stored-record.ts'
import { positionInId } from './message-id.ts'

type ForwardedRequests = Pick<typeof clientNotices, 'GET_CONSUMER_RUNNING_INFO' | 'CONSUME_MESSAGE_DIRECTLY'> &
  Pick<typeof offsetRequests, 'INVOKE_BROKER_TO_GET_CONSUMER_STATUS'>

const { CONSUME_MSG_TIMEOUT, SYSTEM_ERROR } = responseCodes

/** Ordinal of V3_1_8_SNAPSHOT in Apache's MQVersion: older clients know neither request. */
const FIRST_VERSION = 62
/** Ordinal of V3_0_7_SNAPSHOT. */
const FIRST_VERSION_WITH_STATUS = 28

/** Requests of operators that a broker forwards to consumers: Apache's AdminBrokerProcessor.callConsumer, Broker2Client. */
export const forwardingHandlers: HandlersFor<ForwardedRequests, BrokerContext> = {
  async GET_CONSUMER_RUNNING_INFO({ header }, context) {
    const client = consumerOf(header.consumerGroup, header.clientId, context)
    return forwarded(client, header.consumerGroup, () => context.notices.runningInfo(client.peer, header))
  },

  async CONSUME_MESSAGE_DIRECTLY({ header, peer }, context) {
    const { consumerGroup, clientId = '', msgId = '', topic = '' } = header
    const body = await messageOf(msgId, peer, context)
    const client = consumerOf(consumerGroup, clientId, context)
    const { settings, topics, groups } = context
    const { brokerName } = settings.options
    const topicSysFlag = topics.get(topic)?.topicSysFlag ?? header.topicSysFlag
    const groupSysFlag = groups.get(consumerGroup)?.groupSysFlag ?? 0
    const complete = { ...header, brokerName, groupSysFlag, ...(topicSysFlag !== undefined && { topicSysFlag }) }
    return forwarded(client, consumerGroup, () => context.notices.consumeDirectly(client.peer, complete, body))
  },

  async INVOKE_BROKER_TO_GET_CONSUMER_STATUS({ header }, { clients, notices, log }) {
    const { topic, group, clientAddr: wanted = '' } = header
    const members = [...(clients.consumerGroup(group)?.clients.values() ?? [])]
    if (members.length === 0) {
      throw new ResponseError(SYSTEM_ERROR, `No Any Consumer online in the consumer group: [${group}]`)
    }
    const asked = members.filter(({ clientId }) => wanted === '' || wanted === clientId)
    const tooOld = asked.find(({ version }) => version < FIRST_VERSION_WITH_STATUS)
    if (tooOld !== undefined) {
      const remark = `the client does not support this feature. version=${versionName(tooOld.version)}`
      throw new ResponseError(SYSTEM_ERROR, remark)
    }
    const consumerTable = new Map<string, readonly QueueOffset[]>()
    const ask = async ({ clientId, peer }: Client): Promise<void> => {
      try {
        consumerTable.set(clientId, await notices.consumerStatus(peer, { topic, group }))
      } catch (error) {
        // As in Apache, the others are shown.
        log.warn({ err: error, group, clientId }, 'a consumer did not tell its offsets')
      }
    }
    await Promise.all(asked.map(ask))
    return { body: { messageQueueTable: [], consumerTable } }
  },
}

async function messageOf(msgId: string, peer: Peer, context: BrokerContext): Promise<Buffer> {
  const body = await storedRecord(positionInId(msgId), peer, context)
  if (body !== undefined) return body
  throw new ResponseError(SYSTEM_ERROR, `there is no message with the id ${msgId} in this broker`)
}

/** The consumer that a request is for. @throws ResponseError if it is not connected, or too old */
function consumerOf(group: string, clientId: string, { clients }: BrokerContext): Client {
  const client = clients.consumer(group, clientId)
  if (client === undefined) throw new ResponseError(SYSTEM_ERROR, `The Consumer <${group}> <${clientId}> not online`)
  if (client.version >= FIRST_VERSION) return client
  const version = versionName(client.version)
  const remark = `The Consumer <${clientId}> Version <${version}> too low to finish, please upgrade it to V3_1_8_SNAPSHOT`
  throw new ResponseError(SYSTEM_ERROR, remark)
}

async function forwarded<T>(
  { clientId }: Client,
  group: string,
  call: () => Promise<T>,
): Promise<{ readonly body: T }> {
  try {
    return { body: await call() }
  } catch (error) {
    if (error instanceof ResponseError) throw error
    const isTimeout = error instanceof RemotingError && error.code === 'TIMEOUT'
    const what = isTimeout
      ? `consumer <${group}> <${clientId}> Timeout`
      : `invoke consumer <${group}> <${clientId}> Exception`
    throw new ResponseError(isTimeout ? CONSUME_MSG_TIMEOUT : SYSTEM_ERROR, `${what}: ${(error as Error).message}`)
  }
}

import {
  clientNotices,
  encodeMessage,
  offsetMessageId,
  responseCodes as codes,
  type sendRequests,
  TRANSACTION_COMMIT,
  TRANSACTION_ROLLBACK,
} from '@gantrymq/protocol'
import { type Answer, type Call, type Held, ResponseError } from '@gantrymq/remoting'
import type { BrokerState } from './broker-state.ts'
import type { LogEntry, NewMessage } from './message-log.ts'
import { noReply } from '@gantrymq/remoting/testing'

type EndTransaction = (typeof sendRequests)['END_TRANSACTION']

/** Stores a half message in a topic that no consumer reads: Apache's TransactionalMessageBridge. */
export function storeHalf(state: BrokerState, message: NewMessage): LogEntry {
  const properties = new Map(message.properties)
  properties.set('REAL_TOPIC', message.topic).set('REAL_QID', String(message.queueId))
  const sysFlag = (message.sysFlag ?? 0) & ~TRANSACTION_ROLLBACK
  return keepHalf(state, { ...message, properties, sysFlag })
}

function keepHalf(state: BrokerState, message: NewMessage): LogEntry {
  const half = state.log.put({ ...message, topic: 'RMQ_SYS_TRANS_HALF_TOPIC', queueId: 0 }, state.now)
  state.halves.add(half)
  return half
}

export function endTransaction(
  state: BrokerState,
  header: Call<EndTransaction>['header'],
): Answer<EndTransaction> | Held<never> {
  const { commitOrRollback } = header
  if (commitOrRollback !== TRANSACTION_COMMIT && commitOrRollback !== TRANSACTION_ROLLBACK) return noReply()
  const half = preparedAt(state, header)
  if (commitOrRollback === TRANSACTION_COMMIT) state.put(finalMessage(half))
  state.halves.delete(half)
  return {}
}

function preparedAt(state: BrokerState, header: Call<EndTransaction>['header']): LogEntry {
  const half = state.log.at(header.commitLogOffset)
  if (half === undefined) throw refused('Find prepared transaction message failed')
  if (half.message.properties.get('PGROUP') !== header.producerGroup) throw refused('The producer group wrong')
  if (half.queueOffset !== header.tranStateTableOffset) throw refused('The transaction state table offset wrong')
  return half
}

function refused(remark: string): ResponseError {
  return new ResponseError(codes.SYSTEM_ERROR, remark)
}

function finalMessage(half: LogEntry): NewMessage {
  return {
    ...asNew(half),
    topic: half.message.properties.get('REAL_TOPIC') ?? '',
    queueId: Number(half.message.properties.get('REAL_QID')),
    sysFlag: half.message.sysFlag | TRANSACTION_COMMIT,
    preparedTransactionOffset: half.physicalOffset,
  }
}

function asNew({ message }: LogEntry): NewMessage {
  const { topic, queueId, body, properties, flag, sysFlag, bornHost, reconsumeTimes } = message
  return {
    topic,
    queueId,
    body,
    properties,
    flag,
    sysFlag,
    bornHost,
    reconsumeTimes,
    bornTimestamp: Number(message.bornTimestamp),
  }
}

/** Asks a producer of the group of each undecided half message (request 39). As in Apache, stores the half message again. */
export function checkBack(state: BrokerState): number {
  const undecided = [...state.halves]
  let asked = 0
  for (const old of undecided) {
    state.halves.delete(old)
    const half = keepHalf(state, asNew(old))
    const members = state.members.producers.get(half.message.properties.get('PGROUP') ?? '')
    const producer = members?.values().next().value?.peer
    if (!producer?.isOpen) continue
    const unique = half.message.properties.get('UNIQ_KEY')
    const { REAL_TOPIC: topic = '', REAL_QID: queueId } = Object.fromEntries(half.message.properties)
    producer.oneway(clientNotices.CHECK_TRANSACTION_STATE, {
      header: {
        topic,
        commitLogOffset: half.physicalOffset,
        tranStateTableOffset: half.queueOffset,
        offsetMsgId: offsetMessageId(state.host(), half.physicalOffset),
        msgId: unique,
        transactionId: unique,
      },
      body: encodeMessage({ ...half.message, topic, queueId: Number(queueId) }),
    })
    asked++
  }
  return asked
}

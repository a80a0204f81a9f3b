import {
  type brokerAdminRequests,
  decodeMessage,
  responseCodes,
  type sendRequests,
  type StoredMessage,
  TRANSACTION_COMMIT,
  TRANSACTION_ROLLBACK,
} from '@gantrymq/protocol'
import { type Call, type HandlersFor, type Peer, ResponseError } from '@gantrymq/remoting'
import { APPENDED, BUSY, NOT_WRITABLE } from '@gantrymq/store'
import type { BrokerContext } from '../context.ts'
import { storedRecord } from '../pulling/stored-record.ts'
import type { WriteStatus } from '../sending/message-writer.ts'
import { memoryOf } from '../sending/new-message.ts'
import { refusal } from '../sending/incoming-message.ts'
import { illegalMessage, refusedByStore } from '../sending/send-reply.ts'
import { TIMER_CONGESTED, TIMER_ILLEGAL } from '../timers/timer-refusal.ts'
import { GIVEN_UP_TOPIC, immunityOf, problemOf, resumed, targetOf } from '../transactions/half-messages.ts'
import { HALF_TOPIC } from '../topics/topic-table.ts'
import { positionInId } from './message-id.ts'

type TransactionRequests = Pick<typeof sendRequests, 'END_TRANSACTION'> &
  Pick<typeof brokerAdminRequests, 'RESUME_CHECK_HALF_MESSAGE'>
type Header = Call<TransactionRequests['END_TRANSACTION']>['header']

const { ILLEGAL_OPERATION, SERVICE_NOT_AVAILABLE, SYSTEM_ERROR } = responseCodes

/** Ends of transactions, and checks again: Apache's EndTransactionProcessor and AdminBrokerProcessor. */
export const transactionHandlers: HandlersFor<TransactionRequests, BrokerContext> = {
  async END_TRANSACTION({ header, peer }, context) {
    const { commitOrRollback } = header
    if (commitOrRollback !== TRANSACTION_COMMIT && commitOrRollback !== TRANSACTION_ROLLBACK) {
      context.log.warn(
        { header, peer: peer.remoteAddress },
        'a producer does not know the outcome of a transaction yet',
      )
      // Apache does not reply, so that a caller which waits for a reply waits in vain. Java's and our client send it one-way.
      return {}
    }
    const half = await halfAt(header, peer, context)
    const { transactions, waitingSends } = context
    const { status, topic, positions, bytes, safe } = await waitingSends.write(memoryOf(half), () =>
      commitOrRollback === TRANSACTION_COMMIT ? transactions.commit(half) : transactions.rollBack(half),
    )
    if (status !== APPENDED) throw refusedEnd(status, context)
    try {
      await safe
    } catch (error) {
      throw new ResponseError(SERVICE_NOT_AVAILABLE, NOT_AVAILABLE, { cause: error })
    }
    if (commitOrRollback === TRANSACTION_COMMIT && positions.length > 0) context.counts.stored(topic, 1, bytes)
    return {}
  },

  async RESUME_CHECK_HALF_MESSAGE({ header: { msgId }, peer }, context) {
    const { writer, waitingSends, log } = context
    const bytes = await storedRecord(positionInId(msgId), peer, context)
    const half = bytes && decodeMessage(bytes)
    // Apache puts any message among the half messages, which would ask no one about it for ever.
    if (half === undefined || !isGivenUp(half)) throw new ResponseError(SYSTEM_ERROR, NO_HALF)
    const { status, safe } = await waitingSends.write(memoryOf(half), () => writer.writeNow(resumed(half)))
    if (status !== APPENDED) throw new ResponseError(SYSTEM_ERROR, NOT_RESUMED)
    try {
      await safe
    } catch (error) {
      throw new ResponseError(SYSTEM_ERROR, NOT_RESUMED, { cause: error })
    }
    log.info({ msgId, peer: peer.remoteAddress }, 'a half message is checked again')
    return {}
  },
}

const NOT_RESUMED = `Put message back to ${HALF_TOPIC} failed.`
const NO_HALF = `Exception was thrown when putting message back to ${HALF_TOPIC}.`

/** Whether it is a half message that the broker has given up on, or one that it still checks. */
function isGivenUp(message: StoredMessage): boolean {
  return (message.topic === GIVEN_UP_TOPIC || message.topic === HALF_TOPIC) && targetOf(message) !== undefined
}

const NOT_AVAILABLE = 'Service not available now.'

/** The half message that a request names. @throws ResponseError */
async function halfAt(header: Header, peer: Peer, context: BrokerContext): Promise<StoredMessage> {
  const bytes = await storedRecord(header.commitLogOffset, peer, context)
  const half = bytes && decodeMessage(bytes)
  const problem = problemOf(half, header)
  if (half === undefined || problem !== undefined) throw new ResponseError(SYSTEM_ERROR, problem ?? '')
  const immunity = immunityOf(half)
  // The producer may have been asked already: only its answer to that counts from now on (5.x).
  const isLate = immunity !== undefined && context.clock.now() - Number(half.bornTimestamp) > immunity
  if (!isLate || header.fromTransactionCheck) return half
  throw new ResponseError(ILLEGAL_OPERATION, 'the transaction is older than its CHECK_IMMUNITY_TIME_IN_SECONDS: the broker asks its producer') // biome-ignore format: one thought
}

function refusedEnd(status: Exclude<WriteStatus, typeof APPENDED>, { settings }: BrokerContext): ResponseError {
  if (status === NOT_WRITABLE) return new ResponseError(SERVICE_NOT_AVAILABLE, NOT_AVAILABLE)
  if (status === BUSY) return new ResponseError(SYSTEM_ERROR, 'OS page cache busy, please try another machine')
  if (status === TIMER_ILLEGAL || status === TIMER_CONGESTED) return refusal(refusedByStore(status, settings.options, undefined)) // biome-ignore format: one thought
  const { code, remark } = illegalMessage(settings.options.maxMessageSize)
  return new ResponseError(code, remark.replace(/^t/, 'T'))
}

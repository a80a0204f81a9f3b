import {
  mayBeOffsetMessageId,
  readOffsetMessageId,
  sendRequests,
  TRANSACTION_COMMIT,
  TRANSACTION_PREPARED,
  TRANSACTION_ROLLBACK,
  wrapNamespace,
} from '@gantrymq/protocol'
import type { ReceivedMessage } from '../message/received-message.ts'
import type { OutgoingMessage, SendReceipt } from '../message/message.ts'
import type { SendPipeline, SendOptions } from './send-pipeline.ts'
import { illegal, isDelayed } from './prepared-message.ts'
import { type Sender, singleForm } from './send-loop.ts'

/** The outcome of a local transaction. If it is `unknown`, the broker asks again later. */
export type TransactionState = 'commit' | 'rollback' | 'unknown'

/** A message sent in a transaction. */
export interface TransactionReceipt extends SendReceipt {
  readonly transactionState: TransactionState
  /** The error that the local transaction threw; its state is then `unknown`. */
  readonly localError: unknown
}

/** Decides a transaction whose outcome the broker has not received. */
export type CheckTransaction<Body> = (message: ReceivedMessage<Body>) => TransactionState | Promise<TransactionState>

/** The outcome of a half message, and where the message is stored. */
export interface TransactionOutcome {
  readonly address: string
  readonly topic: string
  readonly brokerName: string | undefined
  readonly tranStateTableOffset: number
  readonly commitLogOffset: number
  readonly messageId: string
  readonly transactionId: string | undefined
  readonly fromCheck: boolean
  readonly state: TransactionState
  readonly remark: string | null
  /** For the message trace. */
  readonly tags?: string | undefined
  readonly keys?: string | undefined
  readonly region?: string | undefined
}

const TYPE: Readonly<Record<TransactionState, number>> = {
  commit: TRANSACTION_COMMIT,
  rollback: TRANSACTION_ROLLBACK,
  unknown: 0,
}

/** The state that the user's function returned; anything unexpected is `unknown`. */
export function stateOf(given: unknown): TransactionState {
  return given === 'commit' || given === 'rollback' ? given : 'unknown'
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

/**
 * Sends the outcome of a half message to its broker. Never rejects, because the broker asks if it does not receive it (Apache's
 * DefaultMQProducerImpl.endTransaction).
 */
async function endTransaction(
  sender: Sender,
  { tags, keys }: OutgoingMessage<unknown>,
  receipt: SendReceipt,
  state: TransactionState,
  remark: string | null,
): Promise<void> {
  const { instance, settings } = sender
  const { messageId, offsetMessageId, queue, queueOffset, transactionId } = receipt
  const address = instance.brokers.master(queue.brokerName)
  if (address === undefined) {
    instance.log.warn({ messageId, broker: queue.brokerName }, 'transaction outcome not sent: its broker is unknown')
    return
  }
  await sendOutcome(sender, {
    address,
    topic: wrapNamespace(settings.namespace, queue.topic),
    brokerName: queue.brokerName,
    tranStateTableOffset: queueOffset,
    commitLogOffset: positionOf(offsetMessageId),
    messageId,
    transactionId,
    fromCheck: false,
    tags,
    keys: typeof keys === 'object' ? keys.join(' ') : keys,
    state,
    remark: remark === null ? null : `executeLocalTransactionBranch exception: ${remark}`,
  })
}

// For an unreadable id: a position at which no broker finds a half message, so that the broker asks.
function positionOf(offsetMessageId: string): number {
  return mayBeOffsetMessageId(offsetMessageId) ? Number(readOffsetMessageId(offsetMessageId).physicalOffset) : -1
}

/** Sends a broker the outcome of a half message, one-way. Never rejects. */
export async function sendOutcome(
  { instance, group, settings, trace }: Sender,
  outcome: TransactionOutcome,
): Promise<void> {
  const { address, topic, brokerName, tranStateTableOffset, commitLogOffset, messageId, transactionId } = outcome
  const { fromCheck, state, remark } = outcome
  const ids = { msgId: messageId, transactionId, bname: brokerName }
  const offsets = { tranStateTableOffset, commitLogOffset, commitOrRollback: TYPE[state] }
  const header = { topic, producerGroup: group, ...offsets, fromTransactionCheck: fromCheck, ...ids }
  trace?.ended(outcome)
  try {
    await instance.oneway(address, sendRequests.END_TRANSACTION, { header, remark }, { timeoutMs: settings.timeoutMs })
  } catch (error) {
    instance.log.warn({ messageId, address, state, error: String(error) }, 'transaction outcome not sent')
  }
}

/**
 * A local transaction. It always returns a promise: if it could also return a plain state, TypeScript would infer
 * `Promise<string>` for `async () => 'commit'`.
 */
export type LocalTransaction<Body> = (message: OutgoingMessage<Body>, half: SendReceipt) => Promise<TransactionState>

/** Sends a half message, runs the local transaction and sends its outcome. @throws ClientError if the half message was not sent */
export async function sendInTransaction<Body>(
  pipeline: SendPipeline<Body>,
  message: OutgoingMessage<Body>,
  run: LocalTransaction<Body>,
  options: SendOptions<Body>,
  traced?: Readonly<Record<string, string>>,
): Promise<TransactionReceipt> {
  const { sender } = pipeline
  // Apache's client silently drops the delay.
  if (isDelayed(message)) throw illegal('a message of a transaction cannot be delayed')
  const properties = { TRAN_MSG: 'true', PGROUP: sender.group }
  const extras = { properties, traced, sysFlag: TRANSACTION_PREPARED }
  return await pipeline.followUp(async () => {
    const receipt = await pipeline.send(message, options, singleForm, extras)
    const { state, error } = await decide(receipt, () => run(message, receipt))
    await endTransaction(sender, message, receipt, state, error === undefined ? null : reasonOf(error))
    return { ...receipt, transactionState: state, localError: error }
  })
}

/** Runs the local transaction, if the half message was flushed and replicated in time; otherwise rolls back. */
async function decide(
  { status }: SendReceipt,
  run: () => Promise<TransactionState>,
): Promise<{ readonly state: TransactionState; readonly error?: unknown }> {
  if (status !== 'SEND_OK') return { state: 'rollback' }
  try {
    return { state: stateOf(await run()) }
  } catch (error) {
    return { state: 'unknown', error: error ?? new Error('the local transaction threw undefined') }
  }
}

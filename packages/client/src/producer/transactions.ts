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
import type { Outbound, SendOptions } from './send-pipeline.ts'
import { illegal, isDelayed } from './prepared-message.ts'
import { type Sender, singleForm } from './send-loop.ts'

/** What became of a local transaction. Of an unknown one the broker asks again later. */
export type TransactionState = 'commit' | 'rollback' | 'unknown'

/** A message sent in a transaction. */
export interface TransactionReceipt extends SendReceipt {
  readonly transactionState: TransactionState
  /** What the local transaction threw; its state is unknown then. */
  readonly localError: unknown
}

/** Says what became of a transaction whose outcome the broker does not know. */
export type CheckTransaction<Body> = (message: ReceivedMessage<Body>) => TransactionState | Promise<TransactionState>

/** The outcome of a half message and where it is. */
export interface Ending {
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

/** The outcome that somebody gave; anything else is unknown. */
export function stateOf(given: unknown): TransactionState {
  return given === 'commit' || given === 'rollback' ? given : 'unknown'
}

export function reasonOf(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}

/** Tells the broker what became of a half message. Never rejects: it asks when it hears nothing (spec client 3.16). */
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
    instance.log.warn({ messageId, broker: queue.brokerName }, 'transaction not ended, its broker is gone')
    return
  }
  await tellOutcome(sender, {
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

// An id that cannot be read leaves a position that no broker finds a half message at; it asks then.
function positionOf(offsetMessageId: string): number {
  return mayBeOffsetMessageId(offsetMessageId) ? Number(readOffsetMessageId(offsetMessageId).physicalOffset) : -1
}

/** Tells a broker the outcome; it answers nothing. Never rejects. */
export async function tellOutcome({ instance, group, settings, trace }: Sender, ending: Ending): Promise<void> {
  const { address, topic, brokerName, tranStateTableOffset, commitLogOffset, messageId, transactionId } = ending
  const { fromCheck, state, remark } = ending
  const ids = { msgId: messageId, transactionId, bname: brokerName }
  const offsets = { tranStateTableOffset, commitLogOffset, commitOrRollback: TYPE[state] }
  const header = { topic, producerGroup: group, ...offsets, fromTransactionCheck: fromCheck, ...ids }
  trace?.ended(ending)
  try {
    await instance.oneway(address, sendRequests.END_TRANSACTION, { header, remark }, { timeoutMs: settings.timeoutMs })
  } catch (error) {
    instance.log.warn({ messageId, address, state, error: String(error) }, 'transaction not ended')
  }
}

/**
 * A local transaction. Always a promise: TypeScript takes `async () => 'commit'` for a promise of any string where both
 * forms are allowed.
 */
export type LocalTransaction<Body> = (message: OutgoingMessage<Body>, half: SendReceipt) => Promise<TransactionState>

/** Sends a half message, runs the local transaction and tells the broker how it went. @throws ClientError if it was not sent */
export async function sendInTransaction<Body>(
  outbound: Outbound<Body>,
  message: OutgoingMessage<Body>,
  run: LocalTransaction<Body>,
  options: SendOptions<Body>,
  traced?: Readonly<Record<string, string>>,
): Promise<TransactionReceipt> {
  const { sender } = outbound
  // Apache's client drops the delay without a word.
  if (isDelayed(message)) throw illegal('a message of a transaction cannot be delayed')
  const properties = { TRAN_MSG: 'true', PGROUP: sender.group }
  const extra = { properties, traced, sysFlag: TRANSACTION_PREPARED }
  return await outbound.during(async () => {
    const receipt = await outbound.send(message, options, singleForm, extra)
    const { state, error } = await decide(receipt, () => run(message, receipt))
    await endTransaction(sender, message, receipt, state, error === undefined ? null : reasonOf(error))
    return { ...receipt, transactionState: state, localError: error }
  })
}

/** What the local transaction decides; it runs only if the half message is stored everywhere it should be. */
async function decide(
  { status }: SendReceipt,
  run: () => Promise<TransactionState>,
): Promise<{ readonly state: TransactionState; readonly error?: unknown }> {
  if (status !== 'SEND_OK') return { state: 'rollback' }
  try {
    return { state: stateOf(await run()) }
  } catch (error) {
    return { state: 'unknown', error: error ?? new Error('it threw nothing') }
  }
}

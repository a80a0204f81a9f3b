import type { Deadline } from '../deadline.ts'
import { toClientError } from '../errors.ts'
import type { OutgoingMessage, SendReceipt } from '../message.ts'
import {
  BatchError,
  type BatchItem,
  checkBatchable,
  groupsOf,
  type Pack,
  packed,
  packsOf,
  receiptsOf,
} from './batches.ts'
import type { Extra, Outbound, SendOptions } from './outbound.ts'
import { propertiesOf } from './outgoing.ts'
import { batchForm, singleForm } from './send-loop.ts'

/**
 * Sends messages in as few requests as their topics and sizes allow. A receipt for each, in the order given.
 * @throws ClientError; BatchError if some were stored and others were not
 */
export async function sendBatch<Body>(
  outbound: Outbound<Body>,
  messages: readonly OutgoingMessage<Body>[],
  options: SendOptions<Body>,
  extra: Extra,
): Promise<SendReceipt[]> {
  const deadline = outbound.deadline(options)
  const items = messages.map((message, index) => {
    const prepared = outbound.prepare(message, extra)
    checkBatchable(message)
    return { index, message, prepared }
  })
  const receipts: (SendReceipt | undefined)[] = items.map(() => undefined)
  const groups = groupsOf(items).map(group => sendGroup(outbound, group, receipts, options, deadline))
  const failures = (await Promise.allSettled(groups)).filter(each => each.status === 'rejected')
  if (failures.length === 0) return receipts as SendReceipt[]
  const cause = toClientError(failures[0]?.reason)
  throw receipts.some(receipt => receipt !== undefined) ? new BatchError(cause, receipts) : cause
}

// One pack after the other, so that the messages of one queue keep their order.
async function sendGroup<Body>(
  outbound: Outbound<Body>,
  group: readonly BatchItem<Body>[],
  receipts: (SendReceipt | undefined)[],
  options: SendOptions<Body>,
  deadline: Deadline,
): Promise<void> {
  const { maxBatchBytes, maxMessageSize } = outbound.sender.settings
  for (const pack of packsOf(group, Math.min(maxBatchBytes, maxMessageSize))) {
    const receipt = await sendPack(outbound, pack, options, deadline)
    const each = receiptsOf(pack, receipt)
    for (const [at, { index }] of pack.entries()) receipts[index] = each[at]
  }
}

function sendPack<Body>(
  outbound: Outbound<Body>,
  pack: Pack<Body>,
  choice: SendOptions<Body>,
  deadline: Deadline,
): Promise<SendReceipt> {
  const [{ message, prepared: first }] = pack
  const count = pack.length
  if (count === 1) return outbound.pass({ prepared: first, count, form: singleForm, message, choice }, deadline)
  const messageId = outbound.nextId()
  const { topic, waitStored } = message
  const additions = { messageId, now: first.bornTimestamp }
  const properties = propertiesOf({ topic, body: null, waitStored }, outbound.sender.settings.namespace, additions)
  const prepared = packed(pack, properties, messageId)
  return outbound.pass({ prepared, count, form: batchForm, message, choice }, deadline)
}

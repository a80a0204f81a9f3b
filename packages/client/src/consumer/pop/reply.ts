import {
  type CorruptMessage,
  isRetryTopic,
  type MessageView,
  type PopReceipt,
  popQueueKey,
  popRetryOf,
  type popRequests,
  PROPERTY,
  readMessages,
  readMessageOffsets,
  readPopReceipt,
  readStartOffsets,
} from '@gantrymq/protocol'
import { type Reply, RemotingError } from '@gantrymq/remoting'

/** A popped message, and the receipt that acknowledges it. */
export interface PoppedView {
  readonly view: MessageView
  readonly receipt: Receipt
}

/** A receipt with the message's offset, which old brokers leave out. */
export type Receipt = PopReceipt & { readonly queueOffset: number }

export type PopReply = Reply<typeof popRequests.POP_MESSAGE>

/**
 * The messages of a pop with their receipts. Messages of retry topics contain their receipt; for others it is built from the
 * tables in the reply's header (Apache's MQClientAPIImpl.processPopResponse). A message without a receipt is reported to
 * `onCorrupt` and left out: it is redelivered. `orderCountInfo` is not read, as it matters only for ordered pops.
 */
export function readPopReply(
  { header, body }: Pick<PopReply, 'header' | 'body'>,
  brokerName: string,
  onCorrupt: (corrupt: CorruptMessage | { readonly reason: string; readonly queueOffset: number }) => void,
): PoppedView[] {
  if (body === null) return []
  const views = readMessages(body, onCorrupt)
  const receiptOf = receiptMaker(header, brokerName)
  return views.flatMap(view => {
    try {
      return [{ view, receipt: receiptOf(view) }]
    } catch (error) {
      if (!(error instanceof RemotingError)) throw error
      onCorrupt({ reason: error.message, queueOffset: view.queueOffset })
      return []
    }
  })
}

function receiptMaker(header: PopReply['header'], brokerName: string): (view: MessageView) => Receipt {
  const { popTime, invisibleTime: invisibleMs, reviveQid: reviveQueueId } = header
  const starts = readStartOffsets(header.startOffsetInfo ?? '')
  const offsets = readMessageOffsets(header.msgOffsetInfo ?? '')
  return view => {
    const own = view.property(PROPERTY.POP_CK)
    if (own !== undefined) {
      const receipt = readPopReceipt(own)
      return { ...receipt, queueOffset: receipt.queueOffset ?? view.queueOffset }
    }
    const { topic, queueId, queueOffset } = view
    const retry = isRetryTopic(topic) ? popRetryOf(topic) : '0'
    const key = popQueueKey(retry, queueId)
    const startOffset = starts.get(key)
    if (startOffset === undefined || offsets.get(key)?.includes(queueOffset) !== true) {
      throw new RemotingError('BAD_BODY', `the tables of the pop do not contain ${key}, offset ${queueOffset}`)
    }
    return { startOffset, popTime, invisibleMs, reviveQueueId, retry, brokerName, queueId, queueOffset }
  }
}

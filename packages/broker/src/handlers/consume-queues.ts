import {
  type brokerAdminRequests,
  type ConsumeQueueEntry,
  responseCodes,
  type SubscriptionData,
} from '@gantrymq/protocol'
import { type Call, type HandlersFor, ResponseError } from '@gantrymq/remoting'
import type { ConsumeQueue } from '@gantrymq/store'
import type { BrokerContext } from '../context.ts'
import { tagFilter } from '../pulling/pull-checks.ts'

type QueueRequests = Pick<typeof brokerAdminRequests, 'QUERY_CONSUME_QUEUE'>
type Header = Call<QueueRequests['QUERY_CONSUME_QUEUE']>['header']

/** Most entries of an answer. Apache has no limit but the end of a file. */
const MAX_ENTRIES = 1000

/** Showing the entries of a consume queue: Apache's AdminBrokerProcessor.queryConsumeQueue. */
export const consumeQueueHandlers: HandlersFor<QueueRequests, BrokerContext> = {
  async QUERY_CONSUME_QUEUE({ header, peer }, { store, clients, coldReads }) {
    const { topic, queueId, index, consumerGroup = '' } = header
    const queue = store.queue(topic, queueId)
    if (queue === undefined) throw new ResponseError(responseCodes.SYSTEM_ERROR, `${queueId}@${topic} is not exist!`)
    const { minOffset: minQueueIndex, maxOffset: maxQueueIndex } = queue
    const subscription = consumerGroup === '' ? undefined : clients.subscription(consumerGroup, topic)
    const filter = consumerGroup !== '' && {
      filterData: subscription === undefined ? `${consumerGroup}@${topic} is not online!` : 'null',
      ...(subscription && { subscription }),
    }
    if (index < minQueueIndex || index >= maxQueueIndex) {
      return { remark: `Index ${index} of ${queueId}@${topic} is not exist!` }
    }
    const entries = await coldReads.look(peer.id, () => entriesOf(queue, header, subscription))
    return { body: { minQueueIndex, maxQueueIndex, entries, ...filter } }
  },
}

async function entriesOf(
  queue: ConsumeQueue,
  { index, count }: Header,
  subscription: SubscriptionData | undefined,
): Promise<ConsumeQueueEntry[]> {
  const accepts = subscription && tagFilter(subscription)
  const end = Math.min(queue.maxOffset, index + Math.min(count, MAX_ENTRIES))
  const entries: ConsumeQueueEntry[] = []
  for (let offset = index; offset < end; offset++) {
    const unit = await queue.unit(offset)
    if (unit === undefined) break
    const { position: physicOffset, size: physicSize, tagsCode } = unit
    const isAccepted = accepts === undefined || accepts(tagsCode)
    entries.push({ physicOffset, physicSize, tagsCode: tagsCode ?? 0, eval: isAccepted })
  }
  return entries
}

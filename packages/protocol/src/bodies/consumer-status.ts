import { objectOf, toObject, toText } from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'
import { offsetTable, type QueueOffset, readOffsetTable } from './message-queue.ts'

/** The offsets of consumers: Apache's GetConsumerStatusBody. */
export interface GetConsumerStatusBody {
  /** In the answer of a client to a broker. */
  readonly messageQueueTable: readonly QueueOffset[]
  /** In the answer of a broker to an operator: by client id. */
  readonly consumerTable?: ReadonlyMap<string, readonly QueueOffset[]>
}

export const consumerStatusBody = jsonBody<GetConsumerStatusBody>(
  'GetConsumerStatusBody',
  ({ consumerTable, messageQueueTable }) => ({
    consumerTable: new Map([...(consumerTable ?? [])].map(([id, offsets]) => [id, offsetTable(offsets)])),
    messageQueueTable: offsetTable(messageQueueTable),
  }),
  object => {
    const consumerTable = new Map<string, readonly QueueOffset[]>()
    for (const [id, table] of objectOf(object, 'consumerTable') ?? []) {
      consumerTable.set(toText(id), readOffsetTable(toObject(table, 'consumerTable')))
    }
    return { messageQueueTable: readOffsetTable(objectOf(object, 'messageQueueTable')), consumerTable }
  },
)

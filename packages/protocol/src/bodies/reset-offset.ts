import { isArray, type JsonObject, type JsonValue, numberOf, objectOf, toObject } from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'
import { offsetTable, type QueueOffset, readMessageQueue, readOffsetTable } from './message-queue.ts'

/** Offsets from which consumers should continue: Apache's ResetOffsetBody. */
export interface ResetOffsetBody {
  readonly offsetTable: readonly QueueOffset[]
}

function readItem(value: JsonValue): QueueOffset {
  const object = toObject(value, 'offsetTable')
  return { queue: readMessageQueue(object), offset: numberOf(object, 'offset', 0) }
}

/** Reads either form: brokers send a list if the tool that requested the reset named CPP as its language. */
function readOffsets(object: JsonObject): ResetOffsetBody {
  const given = object.get('offsetTable')
  return { offsetTable: isArray(given) ? given.map(readItem) : readOffsetTable(objectOf(object, 'offsetTable')) }
}

/** Reads both forms, writes the map. */
export const resetOffsetBody = jsonBody<ResetOffsetBody>(
  'ResetOffsetBody',
  body => ({ offsetTable: offsetTable(body.offsetTable) }),
  readOffsets,
)

/** Reads both forms, writes the list: Apache's ResetOffsetBodyForC. */
export const resetOffsetBodyForC = jsonBody<ResetOffsetBody>(
  'ResetOffsetBodyForC',
  body => ({
    offsetTable: body.offsetTable.map(({ queue: { brokerName, queueId, topic }, offset }) => ({
      brokerName,
      offset,
      queueId,
      topic,
    })),
  }),
  readOffsets,
)

import type { MessageQueue, QueueOffset } from '@gantrymq/protocol'
import {
  intOf,
  isObject,
  type JsonKey,
  type JsonObject,
  type JsonValue,
  readFastjson,
  textOf,
} from '@gantrymq/remoting'
import { ClientError } from '../../errors.ts'

/**
 * The text of offsets.json as the Java client 5.5 writes it. Its member names are queues written as objects, which is not
 * valid JSON. Java clients 4.9 and 5.x read this form; 5.x rejects the quoted names that JSON would require.
 */
export function writeOffsetFile(offsets: Iterable<QueueOffset>): string {
  const entries = [...offsets].map(({ queue, offset }) => `\n\t\t${objectText(queue)}:${offset}`)
  return `{\n\t"offsetTable":{${entries.join(',')}${entries.length > 0 ? '\n\t' : ''}}\n}`
}

function objectText({ brokerName, queueId, topic }: MessageQueue): string {
  const members = Object.entries({ brokerName, queueId, topic })
  return `{${members.map(([name, value]) => `\n\t\t\t"${name}":${JSON.stringify(value)}`).join(',')}\n\t\t}`
}

/**
 * Reads offsets.json as this client and both lines of the Java client write it, and with queues as quoted JSON.
 * @throws ClientError BAD_BODY if the members are not what they should be; RemotingError BAD_BODY if the text cannot be parsed
 */
export function readOffsetFile(bytes: Uint8Array): QueueOffset[] {
  const table = objectIn(readFastjson(bytes), 'it is not an object').get('offsetTable')
  if (table === undefined || table === null) throw badFile('offsetTable is missing')
  return [...objectIn(table, 'offsetTable is not an object')].map(([key, value]) => ({
    queue: queueOf(key),
    offset: offsetOf(value),
  }))
}

function objectIn(value: JsonValue, problem: string): JsonObject {
  if (!isObject(value)) throw badFile(problem)
  return value
}

function queueOf(key: JsonKey): MessageQueue {
  const object = typeof key === 'string' ? objectIn(readFastjson(Buffer.from(key)), 'a queue is not an object') : key
  const topic = textOf(object, 'topic')
  const brokerName = textOf(object, 'brokerName')
  if (topic === undefined || brokerName === undefined) throw badFile('a queue has no topic or no brokerName')
  return { topic, brokerName, queueId: intOf(object, 'queueId', 0) }
}

function offsetOf(value: JsonValue): number {
  const offset = typeof value === 'string' && /^\d{1,16}$/.test(value) ? Number(value) : value
  if (typeof offset === 'number' && Number.isSafeInteger(offset) && offset >= 0) return offset
  throw badFile('an offset is not a whole number of 0 or more')
}

function badFile(problem: string): ClientError {
  return new ClientError('BAD_BODY', `the offset file is damaged: ${problem}`)
}

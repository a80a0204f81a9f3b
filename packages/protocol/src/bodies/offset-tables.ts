import { type JsonObject, objectOf, toInt, toNumber, toObject, toText } from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'

/** Offsets by queue id. */
export type QueueOffsets = ReadonlyMap<number, number>

function readOffsets(object: JsonObject, name: string): Map<number, number> {
  return new Map([...object].map(([key, value]) => [toInt(key, name), toNumber(value, name)]))
}

/** All committed offsets of a broker, by `topic@group`, as Apache's ConsumerOffsetManager writes them. */
export const consumerOffsetsBody = jsonBody<ReadonlyMap<string, QueueOffsets>>(
  'ConsumerOffsetSerializeWrapper',
  offsetTable => ({ offsetTable }),
  object => {
    const entries = [...(objectOf(object, 'offsetTable') ?? [])].map(
      ([key, offsets]) => [toText(key), readOffsets(toObject(offsets, 'offsetTable'), 'offsetTable')] as const,
    )
    return new Map(entries)
  },
)

/** The offset up to which the broker has delivered delayed messages, by delay level: Apache's DelayOffsetSerializeWrapper. */
export const delayOffsetsBody = jsonBody<ReadonlyMap<number, number>>(
  'DelayOffsetSerializeWrapper',
  offsetTable => ({ offsetTable }),
  object => readOffsets(objectOf(object, 'offsetTable') ?? new Map(), 'offsetTable'),
)

/** Apache's QueryCorrectionOffsetBody. */
export const correctionOffsetsBody = jsonBody<QueueOffsets>(
  'QueryCorrectionOffsetBody',
  correctionOffsets => ({ correctionOffsets }),
  object => readOffsets(objectOf(object, 'correctionOffsets') ?? new Map(), 'correctionOffsets'),
)

/** Values whose Java hashCode can be computed here. */
export type Hashable = string | number | bigint | boolean

/**
 * The hashCode of Java's String, Integer, Long, Double or Boolean, so that a key lands on the queue where Java's
 * SelectMessageQueueByHash puts it. A whole number within 32 bits is an Integer, a larger one a Long, any other a Double.
 */
export function javaHash(value: Hashable): number {
  if (typeof value === 'string') return stringHash(value)
  if (typeof value === 'boolean') return value ? 1231 : 1237
  if (typeof value === 'bigint') return longHash(value)
  if (Object.is(value, -0)) return doubleHash(value)
  if (value === (value | 0)) return value
  return Number.isSafeInteger(value) ? longHash(BigInt(value)) : doubleHash(value)
}

/** String.hashCode: over UTF-16 units, in 32 bits. Consume queues use it as tag code. */
export function stringHash(text: string): number {
  let hash = 0
  for (let at = 0; at < text.length; at++) hash = (Math.imul(31, hash) + text.charCodeAt(at)) | 0
  return hash
}

/** Long.hashCode. A bigint is always a Long; a small positive Long has the hash of the Integer. */
export function longHash(value: bigint): number {
  const bits = BigInt.asUintN(64, value)
  return Number(BigInt.asIntN(32, bits ^ (bits >> 32n)))
}

const scratch = new DataView(new ArrayBuffer(8))

function doubleHash(value: number): number {
  scratch.setFloat64(0, value)
  return scratch.getInt32(0) ^ scratch.getInt32(4)
}

import type { Long } from '../fields.ts'

/**
 * What the reader returns. Objects are Maps, so that no name (`__proto__`) has a special meaning and an object can be a key, as
 * in `Map<MessageQueue, …>` of fastjson. Bare numeric keys are strings.
 */
export type JsonValue = null | boolean | Long | string | JsonArray | JsonObject
export type JsonArray = readonly JsonValue[]
export type JsonKey = string | JsonObject
export interface JsonObject extends ReadonlyMap<JsonKey, JsonValue> {}

/** What the writer accepts. */
export type JsonInput = null | undefined | boolean | Long | string | readonly JsonInput[] | JsonMap | Bean
/** A Java map. Its keys may be beans. */
export interface JsonMap extends ReadonlyMap<string | Long | Bean, JsonInput> {}
/** A Java bean. Its members are written in their order, which in Java is the order of names. */
export interface Bean {
  readonly [member: string]: JsonInput
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return value instanceof Map
}

export function isArray(value: JsonValue | undefined): value is JsonArray {
  return Array.isArray(value)
}

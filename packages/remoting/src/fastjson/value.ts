import type { Long } from '../fields.ts'

/**
 * What the reader gives. Objects are Maps, so that no name (`__proto__`) means anything, and so that an object may be
 * a key, as fastjson writes `Map<MessageQueue, …>`. Bare numeric keys come as their text.
 */
export type JsonValue = null | boolean | Long | string | JsonArray | JsonObject
export type JsonArray = readonly JsonValue[]
export type JsonKey = string | JsonObject
export interface JsonObject extends ReadonlyMap<JsonKey, JsonValue> {}

/** What the writer takes. */
export type JsonInput = null | undefined | boolean | Long | string | readonly JsonInput[] | JsonMap | Bean
/** A Java map. Its keys may be beans. */
export interface JsonMap extends ReadonlyMap<string | Long | Bean, JsonInput> {}
/** A Java bean: its members in the order they are written, which for Java is by name. */
export interface Bean {
  readonly [member: string]: JsonInput
}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return value instanceof Map
}

export function isArray(value: JsonValue | undefined): value is JsonArray {
  return Array.isArray(value)
}

import type { Long } from '../fields.ts'

/**
 * What the reader gives. Objects are Maps, so that no name (`__proto__`) means anything, and so that an object may be
 * a key, as fastjson writes `Map<MessageQueue, …>`. Bare numeric keys come as their text.
 */
export type JsonValue = null | boolean | Long | string | JsonArray | JsonObject
export type JsonArray = readonly JsonValue[]
export type JsonKey = string | JsonObject
export interface JsonObject extends ReadonlyMap<JsonKey, JsonValue> {}

export function isObject(value: JsonValue | undefined): value is JsonObject {
  return value instanceof Map
}

export function isArray(value: JsonValue | undefined): value is JsonArray {
  return Array.isArray(value)
}

import { type BodyCodec, type JsonObject, readFastjson } from '@gantrymq/remoting'
import { toObject } from '../fastjson/members.ts'
import type { Bean } from '../fastjson/value.ts'
import { encodeFastjson } from '../fastjson/writer.ts'

/** The codec of a bean. Written in the dialect of Java's default encoder. */
export function jsonBody<T>(name: string, toBean: (value: T) => Bean, read: (object: JsonObject) => T): BodyCodec<T> {
  return {
    name,
    encode: value => encodeFastjson(toBean(value), 'fastjson'),
    decode: bytes => read(toObject(readFastjson(bytes), name)),
  }
}

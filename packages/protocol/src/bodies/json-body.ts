import {
  type Bean,
  type BodyCodec,
  encodeFastjson,
  isArray,
  type JsonObject,
  readFastjson,
  RemotingError,
  toObject,
} from '@gantrymq/remoting'
/** The codec of a bean. It is written in the dialect of Java's default encoder. */
export function jsonBody<T>(name: string, toBean: (value: T) => Bean, read: (object: JsonObject) => T): BodyCodec<T> {
  return {
    name,
    encode: value => encodeFastjson(toBean(value), 'fastjson'),
    decode: bytes => read(toObject(readFastjson(bytes), name)),
  }
}

/** The codec of a list of beans. */
export function jsonListBody<T>(
  name: string,
  toBean: (value: T) => Bean,
  read: (object: JsonObject) => T,
): BodyCodec<readonly T[]> {
  return {
    name,
    encode: items => encodeFastjson(items.map(toBean), 'fastjson'),
    decode(bytes) {
      const list = readFastjson(bytes)
      if (!isArray(list)) throw new RemotingError('BAD_BODY', `the body is not a list: ${name}`)
      return list.map(item => read(toObject(item, name)))
    },
  }
}

import {
  type Bean,
  type BodyCodec,
  type JsonObject,
  longOf,
  readFastjson,
  RemotingError,
  toObject,
} from '@gantrymq/remoting'
import type { DataVersion } from '../data-version.ts'
import { jsonBody } from './json-body.ts'

/** Without `stateVersion`, the bean has the form of 4.9. */
export function dataVersionBean(version: DataVersion, withState = true): Bean {
  return {
    counter: version.counter,
    stateVersion: withState ? version.stateVersion : undefined,
    timestamp: version.timestamp,
  }
}

/** @param now Milliseconds since the epoch. Replaces a missing timestamp, as in Java. */
export function readDataVersion(object: JsonObject, now: number): DataVersion {
  return {
    stateVersion: longOf(object, 'stateVersion', 0),
    timestamp: longOf(object, 'timestamp', now),
    counter: longOf(object, 'counter', 0),
  }
}

/** The timestamp of a body without one: it equals no version that a broker has. */
const NEVER = -1

export const dataVersionBody = jsonBody<DataVersion>(
  'DataVersion',
  version => dataVersionBean(version),
  object => readDataVersion(object, NEVER),
)

/** Most bytes of a DataVersion in a request; brokers send fewer than 100. */
const MAX_BYTES = 16 * 1024

/** As `dataVersionBody`; the text `null` is read as null. */
export const optionalDataVersionBody: BodyCodec<DataVersion | null> = {
  name: 'DataVersion',
  encode: version => (version === null ? Buffer.from('null') : dataVersionBody.encode(version)),
  decode(bytes) {
    if (bytes.length > MAX_BYTES) {
      throw new RemotingError('BAD_BODY', `a DataVersion of ${bytes.length} bytes, the limit is ${MAX_BYTES}`)
    }
    const value = readFastjson(bytes)
    return value === null ? null : readDataVersion(toObject(value, 'DataVersion'), NEVER)
  },
}

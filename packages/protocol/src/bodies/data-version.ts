import { type Bean, type BodyCodec, type JsonObject, longOf, readFastjson, toObject } from '@gantrymq/remoting'
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

/** As `dataVersionBody`; the text `null` is read as null. */
export const optionalDataVersionBody: BodyCodec<DataVersion | null> = {
  name: 'DataVersion',
  encode: version => (version === null ? Buffer.from('null') : dataVersionBody.encode(version)),
  decode(bytes) {
    const value = readFastjson(bytes)
    return value === null ? null : readDataVersion(toObject(value, 'DataVersion'), NEVER)
  },
}

import { type BodyCodec, objectOf, textOf, textsOf, textTable } from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'

/** Names of topics: Apache's TopicList. */
export interface TopicList {
  readonly topicList: readonly string[]
  /** The address of any broker; only in the list of system topics. */
  readonly brokerAddr?: string
}

export const topicListBody = jsonBody<TopicList>(
  'TopicList',
  ({ brokerAddr, topicList }) => ({ brokerAddr, topicList }),
  object => {
    const brokerAddr = textOf(object, 'brokerAddr')
    return { topicList: textsOf(object, 'topicList') ?? [], ...(brokerAddr === undefined ? undefined : { brokerAddr }) }
  },
)

/** Strings by key: Apache's KVTable. */
export type KVTable = ReadonlyMap<string, string>

export const kvTableBody = jsonBody<KVTable>(
  'KVTable',
  table => ({ table }),
  object => textTable(objectOf(object, 'table') ?? new Map()),
)

/** Configuration as `key=value` lines in UTF-8, which Java reads as a properties file. */
export const propertiesBody: BodyCodec<string> = {
  name: 'properties',
  encode: text => Buffer.from(text),
  decode: bytes => bytes.toString('utf8'),
}

/** A body whose form depends on the header; the handler reads it. */
export function rawBody(name: string): BodyCodec<Buffer> {
  return { name, encode: bytes => bytes, decode: bytes => bytes }
}

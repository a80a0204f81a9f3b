import { type JsonObject, objectOf, toObject, toText } from '@gantrymq/remoting'
import { type DataVersion, noDataVersion } from '../data-version.ts'
import { dataVersionBean, readDataVersion } from './data-version.ts'
import { jsonBody } from './json-body.ts'
import { otherMembers, withOthers } from './other-members.ts'
import { readTopicConfig, type TopicConfig, topicConfigBean } from './topic-config.ts'

/** All topics of a broker and their version: Apache's TopicConfigSerializeWrapper. */
export interface TopicConfigTable {
  readonly dataVersion: DataVersion
  /** By topic name. */
  readonly topics: ReadonlyMap<string, TopicConfig>
}

const KNOWN: ReadonlySet<string> = new Set(Object.keys(topicConfigBean(readTopicConfig(new Map(), ''), true)))

function readTable(object: JsonObject): TopicConfigTable {
  const version = objectOf(object, 'dataVersion')
  const topics = new Map<string, TopicConfig>()
  for (const [key, value] of objectOf(object, 'topicConfigTable') ?? []) {
    const object = toObject(value, 'topicConfigTable')
    const config = readTopicConfig(object, toText(key))
    const others = otherMembers(object, KNOWN)
    topics.set(config.topicName, others === undefined ? config : { ...config, others })
  }
  return { dataVersion: version === null ? noDataVersion : readDataVersion(version, 0), topics }
}

/** Written with the members of 5.x, which 4.9 ignores, and with members of topics that this release does not know. */
export const topicConfigTableBody = jsonBody<TopicConfigTable>(
  'TopicConfigSerializeWrapper',
  table => ({
    dataVersion: dataVersionBean(table.dataVersion),
    topicConfigTable: new Map(
      [...table.topics].map(([name, config]) => [name, withOthers(topicConfigBean(config, true), config.others)]),
    ),
  }),
  readTable,
)

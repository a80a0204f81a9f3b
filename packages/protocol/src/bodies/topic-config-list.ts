import { listOf, toObject } from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'
import { readTopicConfig, type TopicConfig, topicConfigBean } from './topic-config.ts'

/** One topic (5.x): Apache's TopicConfigAndQueueMapping. The mapping of a static topic is not read. */
export const topicConfigBody = jsonBody<TopicConfig>(
  'TopicConfigAndQueueMapping',
  config => topicConfigBean(config, true),
  object => readTopicConfig(object, ''),
)

/** Several topics at once (5.x): Apache's CreateTopicListRequestBody. */
export const topicConfigListBody = jsonBody<readonly TopicConfig[]>(
  'CreateTopicListRequestBody',
  topics => ({ topicConfigList: topics.map(config => topicConfigBean(config, true)) }),
  object =>
    (listOf(object, 'topicConfigList') ?? []).map(item => readTopicConfig(toObject(item, 'topicConfigList'), '')),
)

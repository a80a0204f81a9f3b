// Names, numbers and versions
export { isMaster, MASTER_ID } from './broker-id.ts'
export { type DataVersion, nextDataVersion, noDataVersion, sameDataVersion } from './data-version.ts'
export { type Hashable, javaHash, longHash, stringHash } from './java-hash.ts'
export { unwrapNamespace, wrapNamespace } from './namespace.ts'
export { isReadable, isWriteable, PERM_INHERIT, PERM_PRIORITY, PERM_READ, PERM_WRITE } from './permission.ts'
export { pullFlags } from './pull-flags.ts'
export {
  OUR_VERSION,
  V3_0_11,
  V4_9_4,
  V4_9_8,
  V5_0_0,
  V5_3_1,
  V5_5_0,
  versionName,
  versionNumber,
} from './release.ts'
export { type ResponseName, responseCodes, responseName } from './response-codes.ts'
export {
  AUTO_CREATE_TOPIC,
  DEAD_LETTER_PREFIX,
  deadLetterTopicOf,
  groupProblem,
  groupOfRetryTopic,
  INNER_PRODUCER_GROUP,
  isClosedTopic,
  isDeadLetterTopic,
  isRetryTopic,
  isSystemTopic,
  MAX_GROUP_LENGTH,
  MAX_RETRY_TOPIC_LENGTH,
  MAX_TOPIC_LENGTH,
  RETRY_PREFIX,
  retryTopicOf,
  SYSTEM_TOPICS,
  topicProblem,
} from './topic-name.ts'

// Requests: one table for each subject
export {
  adminRequests,
  authRequests,
  brokerAdminRequests,
  brokerNotices,
  clientNotices,
  connectionRequests,
  consumeRequests,
  groupRequests,
  membershipRequests,
  nameServerRequests,
  offsetRequests,
  plainAccessRequests,
  popRequests,
  queryRequests,
  requestNames,
  sendRequests,
  topicRequests,
} from './requests/index.ts'

// What a group receives, and which queues each member has
export { matchesTags, subscriptionOf, type SubscriptionExpression } from './subscription.ts'
export {
  type AssignmentInput,
  type AssignmentStrategy,
  averagely,
  averagelyByCircle,
  byMachineRoom,
  configured,
  consistentHash,
  type MachineRooms,
  machineRoomNearby,
  sortClientIds,
  sortQueues,
} from './assignment-strategies.ts'

// Messages: as they are sent, stored and read
export { type BatchedMessage, type BatchPart, batchedSize, decodeBatch, encodeBatch } from './message/batch.ts'
export {
  bodyCrc,
  decodeMessage,
  decodeMessages,
  encodeMessage,
  MESSAGE_MAGIC_V1,
  MESSAGE_MAGIC_V2,
  type StoredMessage,
  storedSize,
  writeStored,
} from './message/codec.ts'
export {
  ASYNC_COMPRESSION_BYTES,
  compress,
  compressAsync,
  DEFAULT_COMPRESSION_LEVEL,
  decompress,
  decompressAsync,
  MAX_DECOMPRESSED_BYTES,
} from './message/compression.ts'
export { type Host, hostBytes } from './message/host.ts'
export {
  mayBeOffsetMessageId,
  offsetMessageId,
  readOffsetMessageId,
  UniqueIds,
  uniqueIdTime,
} from './message/message-id.ts'
export { MessageView } from './message/message-view.ts'
export {
  POP_ORDER_REVIVE_QUEUE,
  type PopReceipt,
  type PopRetry,
  popMessageKey,
  popQueueKey,
  popRetryOf,
  popTopic,
  readMessageOffsets,
  readOrderCounts,
  readPopReceipt,
  readStartOffsets,
  writePopReceipt,
} from './message/pop-receipt.ts'
export {
  MAX_PROPERTIES_LENGTH,
  readMessageProperties,
  readMessageProperty,
  writeMessageProperties,
} from './message/properties.ts'
export { type CorruptMessage, type ReadMessagesOptions, readMessages } from './message/read-messages.ts'
export { type RecallHandle, readRecallHandle, writeRecallHandle } from './message/recall-handle.ts'
export { KEY_SEPARATOR, PROPERTY, RESERVED_PROPERTIES, userPropertyProblem } from './message/reserved-properties.ts'
export {
  BORN_HOST_V6,
  COMPRESSED,
  COMPRESSION_BITS,
  type Compression,
  compressionFlag,
  compressionOf,
  INNER_BATCH,
  MULTI_TAGS,
  NEED_UNWRAP,
  STORE_HOST_V6,
  TRANSACTION_COMMIT,
  TRANSACTION_PREPARED,
  TRANSACTION_ROLLBACK,
  transactionPart,
} from './message/sys-flag.ts'

// Bodies of registrations and routes
export {
  type BrokerMemberGroup,
  brokerMemberGroupBody,
  type ClusterInfo,
  clusterInfoBody,
} from './bodies/cluster-info.ts'
export { dataVersionBody, optionalDataVersionBody, readDataVersion } from './bodies/data-version.ts'
export {
  decodeRegisterBroker,
  encodeRegisterBroker,
  inflateRegistration,
  isCompressedRegistration,
  noRegistration,
  type RegisterBrokerBody,
  type RegistrationForm,
  type RegistrationReadOptions,
  readRegistration,
} from './bodies/register-broker.ts'
export { readTopicConfig, type TopicConfig } from './bodies/topic-config.ts'
export {
  type BrokerData,
  encodeTopicRoute,
  type QueueData,
  readQueueDatas,
  type TopicQueueMappingInfo,
  type TopicRoute,
  topicRouteBody,
} from './bodies/topic-route.ts'

// Bodies about topics, groups and access
export { topicConfigBody, topicConfigListBody } from './bodies/topic-config-list.ts'
export { type TopicConfigTable, topicConfigTableBody } from './bodies/topic-config-table.ts'
export {
  defaultGroupConfig,
  type GroupRetryPolicy,
  type GroupSubscription,
  groupConfigBody,
  groupConfigListBody,
  type SubscriptionGroupConfig,
  type SubscriptionGroupTable,
  subscriptionGroupTableBody,
} from './bodies/subscription-group.ts'
export {
  type GroupForbidden,
  groupForbiddenBody,
  groupListBody,
  type TopicSubscription,
  topicSubscriptionBody,
} from './bodies/groups.ts'
export {
  type AccessEntry,
  type AccessPolicy,
  type AclInfo,
  aclBody,
  aclListBody,
  type PlainAccess,
  type PlainAccessTable,
  plainAccessTableBody,
  type UserInfo,
  userBody,
  userListBody,
} from './bodies/access.ts'

// Bodies about clients and what they consume
export {
  type ConsumeFromWhere,
  type ConsumerData,
  type ConsumeType,
  type HeartbeatData,
  heartbeatBody,
  type MessageModel,
  type ProducerData,
  type SubscriptionData,
} from './bodies/heartbeat.ts'
export {
  assignmentsBody,
  type MessageQueueAssignment,
  type MessageRequestMode,
  type QueryAssignmentRequest,
  type QueryAssignmentResponse,
  queryAssignmentBody,
  type SetMessageRequestMode,
  setMessageRequestModeBody,
} from './bodies/assignment.ts'
export {
  type LockBatchRequest,
  type LockBatchResponse,
  lockBatchBody,
  lockBatchResponseBody,
  unlockBatchBody,
} from './bodies/lock-batch.ts'
export { type BatchAck, type BatchAckMessages, batchAckBody } from './bodies/batch-ack.ts'
export { type CheckClientRequestBody, checkClientBody } from './bodies/check-client.ts'
export {
  type ClientConnection,
  type ConsumerConnections,
  consumerConnectionBody,
  type ProducerInfo,
  producerConnectionBody,
  producerTableBody,
} from './bodies/client-connections.ts'
export {
  type ConsumeMessageDirectlyResult,
  type ConsumeResult,
  consumeDirectlyBody,
} from './bodies/consume-directly.ts'
export { type ConsumerList, consumerListBody } from './bodies/consumer-list.ts'
export { consumerStatusBody, type GetConsumerStatusBody } from './bodies/consumer-status.ts'
export {
  type ConsumeStatus,
  type ConsumerRunningInfo,
  type PopProcessQueueInfo,
  type ProcessQueueInfo,
  runningInfoBody,
} from './bodies/running-info.ts'

// Bodies about offsets and statistics
export type { MessageQueue, OfQueue, QueueOffset } from './bodies/message-queue.ts'
export {
  consumerOffsetsBody,
  correctionOffsetsBody,
  delayOffsetsBody,
  type QueueOffsets,
} from './bodies/offset-tables.ts'
export { type ResetOffsetBody, resetOffsetBody, resetOffsetBodyForC } from './bodies/reset-offset.ts'
export { type BrokerStats, brokerStatsBody, type StatsItem } from './bodies/broker-stats.ts'
export { type ConsumeQueueEntry, type ConsumeQueueView, consumeQueueBody } from './bodies/consume-queue.ts'
export {
  type BrokerConsumeStats,
  type ConsumeStats,
  consumeStatsBody,
  consumeStatsListBody,
  type QueueProgress,
  type QueueStats,
  type TopicStats,
  topicStatsBody,
} from './bodies/consume-stats.ts'
export { type ConsumeTimeSpan, consumeTimeSpansBody } from './bodies/consume-time-spans.ts'

// Bodies of any content
export { jsonBody } from './bodies/json-body.ts'
export {
  type KVTable,
  kvTableBody,
  propertiesBody,
  rawBody,
  type TopicList,
  topicListBody,
} from './bodies/tables.ts'

// Types of options and of the admin's results, so that users need not depend on the packages below.
export type {
  AclInfo,
  AssignmentInput,
  AssignmentStrategy,
  BrokerConsumeStats,
  BrokerStats,
  ClientConnection,
  ClusterInfo,
  Compression,
  ConsumeMessageDirectlyResult,
  ConsumeQueueView,
  ConsumerConnections,
  ConsumerRunningInfo,
  ConsumeStats,
  ConsumeTimeSpan,
  GroupForbidden,
  KVTable,
  MachineRooms,
  MessageRequestMode,
  PlainAccessTable,
  ProducerInfo,
  QueueOffset,
  QueueOffsets,
  SubscriptionGroupConfig,
  TopicConfig,
  TopicRoute,
  TopicStats,
  TopicSubscription,
  UserInfo,
} from '@gantrymq/protocol'
export type { Clock, Credentials, Dial, Logger } from '@gantrymq/remoting'
export type { AccountSettings, AclVersion } from './admin/acl.ts'
export { Admin, type AdminOptions } from './admin/admin.ts'
export type { Grant, UserSettings } from './admin/auth.ts'
export type { ConsumeQueueQuery } from './admin/brokers.ts'
export type { BrokerAddress, Target } from './admin/calls.ts'
export type { Changes, Settings } from './admin/config.ts'
export type { ConsumerStatus } from './admin/connections.ts'
export type { FoundMessage } from './admin/found-message.ts'
export type { GroupSettings } from './admin/groups.ts'
export type { KeyQuery, RangeQuery } from './admin/messages.ts'
export type { Reset, ResetPoint } from './admin/offsets.ts'
export type { ChangedTopics } from './admin/permissions.ts'
export type { TopicSettings } from './admin/topics.ts'
export type { MessageTrack, TrackType } from './admin/tracks.ts'
export { type Codec, json, text } from './message/codec.ts'
export type { Readiness } from './consumer/group/member-health.ts'
export type { ConsumeEvent, PullEvent, SendEvent } from './diagnostics.ts'
export type { Problem, ProblemCode } from './problems.ts'
export { ClientError, type ClientErrorCode } from './errors.ts'
export type { ClientOptions } from './instance/instance-options.ts'
export type { CallOptions, MessageQueue, OutgoingMessage, SendReceipt, SendStatus } from './message/message.ts'
export type { NameServerList, NameServerSource } from './routes/name-servers.ts'
export type { RouteReason } from './routes/route-reasons.ts'
export { BatchError } from './producer/batches.ts'
export type { FaultTable } from './producer/fault-latency.ts'
export { type BodyRead, Producer, type ProducerOptions } from './producer/producer.ts'
export type { SendOptions } from './producer/send-pipeline.ts'
export type { QueueSelector } from './producer/queue-picker.ts'
export type { RepliableMessage } from './producer/request-reply.ts'
export type { ProducerStats } from './producer/send-stats.ts'
export type {
  CheckTransaction,
  LocalTransaction,
  TransactionReceipt,
  TransactionState,
} from './producer/transactions.ts'
export type { TraceTarget } from './trace/trace-option.ts'
export { PushConsumer, type PushConsumerOptions, type PushConsumerStats } from './consumer/push-consumer.ts'
export { ReceivedMessage } from './message/received-message.ts'
export type { DeliveredMessage } from './consumer/push/delivered-messages.ts'
export type { Listener, ListenerContext, Outcome, Retry } from './consumer/push/listener.ts'
export { LitePullConsumer } from './consumer/lite-pull-consumer.ts'
export type { LitePullConsumerOptions, LitePullConsumerStats } from './consumer/lite-pull/options.ts'
export type { OffsetToCommit } from './consumer/lite-pull/positions.ts'
export type { PullResult, PullStatus } from './consumer/queue/pull-call.ts'
export {
  PullConsumer,
  type PullConsumerOptions,
  type PullConsumerStats,
  type PullOptions,
} from './consumer/pull-consumer.ts'
export {
  type ReceiveOptions,
  SimpleConsumer,
  type SimpleConsumerOptions,
  type SimpleConsumerStats,
} from './consumer/simple-consumer.ts'
export type { SimpleMessage } from './consumer/pop/simple-message.ts'
export type { ConsumeFrom } from './consumer/offsets/start-offset.ts'
export { configured } from '@gantrymq/protocol'
export {
  averagely,
  averagelyByCircle,
  byMachineRoom,
  consistentHash,
  machineRoomNearby,
} from './consumer/rebalance/strategies.ts'
export type { Expression } from './consumer/group/subscription.ts'

export { Broker } from './broker.ts'
export { type BrokerOptions, brokerOptions } from './options.ts'
export type { BrokerAddress, BrokerParts, BrokerStartOptions } from './start-options.ts'
export type {
  BrokerStatus,
  ClientView,
  GroupView,
  LevelView,
  QueueBacklog,
  QueueView,
  TopicView,
  Traffic,
} from './status.ts'

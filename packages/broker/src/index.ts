export { Broker, type BrokerAddress, type BrokerParts, type BrokerStartOptions } from './broker.ts'
export { type BrokerOptions, brokerOptions } from './options.ts'
export type { BrokerStatus, ClientView, GroupView, QueueBacklog, QueueView, TopicView, Traffic } from './status.ts'

export { type BrokerFaults, type FaultLimits, type RefusalOptions } from './faults.ts'
export {
  type GroupState,
  type IdleOptions,
  type RocketMQ,
  type RocketMQConnection,
  type RocketMQOptions,
  type Span,
  startRocketMQ,
  type TestMessage,
} from './rocketmq.ts'

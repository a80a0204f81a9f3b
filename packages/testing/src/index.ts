export type { AlterAnswer, BrokerFaults, DelayOptions, FaultLimits, RefusalOptions } from './broker-faults.ts'
export type { SeenRequest } from './gateway/faults.ts'
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

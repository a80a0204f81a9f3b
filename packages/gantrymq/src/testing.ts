// As gantrymq/testing, so that applications need to install only this package.
export {
  type BrokerFaults,
  type FaultLimits,
  type GroupState,
  type IdleOptions,
  type RefusalOptions,
  type RocketMQ,
  type RocketMQConnection,
  type RocketMQOptions,
  type Span,
  startRocketMQ,
  type TestMessage,
} from '@gantrymq/testing'

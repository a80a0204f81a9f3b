// As gantrymq/testing, so that applications need to install only this package.
export {
  type AlterAnswer,
  type BrokerFaults,
  type DelayOptions,
  type FaultLimits,
  type GroupState,
  type IdleOptions,
  type RefusalOptions,
  type RocketMQ,
  type RocketMQConnection,
  type RocketMQOptions,
  type SeenRequest,
  type Span,
  startRocketMQ,
  type TestMessage,
} from '@gantrymq/testing'

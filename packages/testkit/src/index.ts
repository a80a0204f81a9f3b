export { type BodySample, clientBodySamples } from './body-samples.ts'
export { describeFailure, type FuzzFailure, fuzzLarge, fuzzOnce, type FuzzTarget, inputOf } from './fuzz/fuzz-target.ts'
export { fuzzTests } from './fuzz/fuzz-tests.ts'
export { Random } from './fuzz/random.ts'
export {
  type GoldenExchange,
  type GoldenFrame,
  type GoldenSend,
  type GoldenSignedRequest,
  goldenExchanges,
  goldenFrames,
  goldenSends,
  goldenSignedRequests,
} from './golden.ts'
export { type BrokerRequestName, ScriptedBroker, type ScriptedBrokerOptions } from './scripted-broker.ts'
export type { LogEntry, MessageLog, NewMessage, TopicSettings } from './scripted/message-log.ts'
export { type RouteSource, ScriptedNameServer } from './scripted/scripted-name-server.ts'
export { TestCluster, type TestClusterOptions, testCluster } from './test-cluster.ts'

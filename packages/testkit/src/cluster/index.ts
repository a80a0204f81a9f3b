export type { Fault, FaultyAnswer, SeenRequest, SetFault } from '@gantrymq/testing/gateway'
export {
  type NewMessage,
  type Position,
  TestBroker,
  type TestBrokerOptions,
  type TopicSettings,
} from './test-broker.ts'
export { TestCluster, type TestClusterOptions, testCluster } from './test-cluster.ts'
export { TestNameServer } from './test-name-server.ts'

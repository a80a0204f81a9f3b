export { type BodySample, clientBodySamples } from './body-samples.ts'
export { HandClock } from './clock.ts'
export { fakePeer } from './fake-peer.ts'
export {
  type GoldenExchange,
  type GoldenFrame,
  type GoldenSend,
  goldenExchanges,
  goldenFrames,
  goldenSends,
} from './golden.ts'
export { memorySockets } from './memory-sockets.ts'
export { type BrokerRequestName, ScriptedBroker, type ScriptedBrokerOptions } from './scripted-broker.ts'
export type { Fault, Rudeness, SeenRequest, SetFault } from './scripted/faults.ts'
export type { LogEntry, MessageLog, NewMessage, TopicSettings } from './scripted/message-log.ts'
export { RudeServer, type RudeServerOptions } from './scripted/rude-server.ts'
export { type RouteSource, ScriptedNameServer } from './scripted/scripted-name-server.ts'
export { TestCluster, type TestClusterOptions, testCluster } from './test-cluster.ts'

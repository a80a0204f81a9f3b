import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import type { Release } from '../launch/apache.ts'
import type { Route } from '../contract/brokers.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import { OurClient } from '../drivers/our-client.ts'
import { type JavaClient, javaClient } from '../drivers/java-client.ts'
import type { Owner } from '../launch/launched.ts'
import {
  type BrokerStart,
  type LaunchedServer,
  type Properties,
  type RunningNameServer,
  startApacheBroker,
  startApacheNameServer,
} from '../launch/launcher.ts'
import { startOurProgram } from '../launch/our-name-server.ts'
import { ask } from '../wire/raw-connection.ts'
import { parseFastjson } from '../wire/raw-frame.ts'

/** One broker of Apache's, a name server and a Java client. */
export interface ClusterPlan {
  readonly release: Release
  readonly nameServer: 'ours' | 'Apache'
  readonly properties?: Properties
  readonly files?: Readonly<Record<string, string>>
  /** What the suite is called; default by the line. */
  readonly title?: string
  /** Only for Apache's. */
  readonly nameServerFlags?: readonly string[]
  readonly brokerFlags?: readonly string[]
  readonly javaFlags?: readonly string[]
}

const BROKER = 'a'
const CLUSTER = 'DefaultCluster'
const READ = 4
const ROUTE_MS = 15_000

/**
 * Whatever Apache lets one hurry: retries (level 3 and up) after a second, transactions asked about after two,
 * offsets and lists of consumers kept fresh. Level 2 is two seconds, so that levels can be told apart.
 */
const HURRIED: Properties = {
  messageDelayLevel: `1s 2s${' 1s'.repeat(16)}`,
  transactionTimeOut: 2_000,
  transactionCheckInterval: 1_000,
  enablePropertyFilter: true,
  autoCreateTopicEnable: true,
  traceTopicEnable: true,
  // A busy machine is no reason to refuse.
  brokerFastFailureEnable: false,
}

const ONLY_5: Properties = {
  recallMessageEnable: true,
  timerPrecisionMs: 100,
  // Outcomes are kept back until there are so many bytes of them, or for so long: by default longer than it takes here to
  // be asked about one. When that time is over and none has come, 5.5.0 waits for the next in a loop that never rests.
  transactionOpMsgMaxSize: 1,
  transactionOpBatchInterval: 2_000_000_000,
}

const is5 = (release: Release) => release.startsWith('5.')

/** Where the cases of one line run. */
export class Cluster {
  readonly release: Release
  /** `ip:port`, as clients are given it. */
  readonly nameServers: string
  readonly broker: LaunchedServer
  readonly brokerName = BROKER
  readonly java: JavaClient
  readonly ours: OurClient
  readonly nameServer: RunningNameServer

  constructor(owner: Owner, release: Release, nameServer: RunningNameServer, broker: LaunchedServer, java: JavaClient) {
    this.release = release
    this.nameServer = nameServer
    this.nameServers = `127.0.0.1:${nameServer.port}`
    this.broker = broker
    this.java = java
    this.ours = new OurClient(owner, this.nameServers)
  }

  /** True on the 5.x line. */
  get is5(): boolean {
    return is5(this.release)
  }

  /** Makes a topic of a new name and waits until clients can learn of it. */
  async topic(word = 'topic', queues = 4): Promise<string> {
    const topic = unique(word)
    await this.createTopic(topic, queues)
    return topic
  }

  /** Makes a topic of this name. */
  async createTopic(topic: string, queues = 4): Promise<void> {
    await this.java.createTopic(this.broker.address, topic, queues)
    await eventually(() => this.hasRoute(topic, queues), ROUTE_MS)
  }

  /** @throws if the name server has no route of a topic, or one with another number of queues to read */
  async hasRoute(topic: string, queues?: number): Promise<void> {
    const answer = await ask(this.nameServer.port, { code: 105, extFields: { topic } })
    assert.equal(answer.code, 0, `no route of ${topic}`)
    if (queues === undefined) return
    const { queueDatas } = parseFastjson(answer.body) as Route
    const readable = queueDatas.filter(({ perm }) => (perm & READ) !== 0)
    assert.equal(
      readable.reduce((sum, queue) => sum + queue.readQueueNums, 0),
      queues,
    )
  }

  /** Starts one more broker here. */
  startBroker(owner: Owner, start: Omit<BrokerStart, 'nameServers' | 'release'>): Promise<LaunchedServer> {
    const properties = { ...HURRIED, ...(this.is5 ? ONLY_5 : {}), ...start.properties }
    return startApacheBroker(owner, { ...start, properties, release: this.release, nameServers: [this.nameServers] })
  }
}

function startNameServer(owner: Owner, plan: ClusterPlan): Promise<RunningNameServer> {
  if (plan.nameServer === 'ours') return startOurProgram(owner)
  return startApacheNameServer(owner, plan.release, {}, plan.nameServerFlags)
}

/** Starts all that a plan names. */
export async function startCluster(owner: Owner, plan: ClusterPlan): Promise<Cluster> {
  const { release, files = {}, brokerFlags = [], javaFlags = [] } = plan
  const nameServer = await startNameServer(owner, plan)
  const nameServers = `127.0.0.1:${nameServer.port}`
  const properties = { ...HURRIED, ...(is5(release) ? ONLY_5 : {}), brokerClusterName: CLUSTER, ...plan.properties }
  const [broker, java] = await Promise.all([
    startApacheBroker(owner, {
      release,
      name: BROKER,
      nameServers: [nameServers],
      properties,
      files,
      flags: brokerFlags,
    }),
    javaClient(owner, release, nameServers, javaFlags),
  ])
  return new Cluster(owner, release, nameServer, broker, java)
}

/** Declares a cluster that lives as long as the enclosing `describe`; gives a getter of it. */
export function clusterFor(plan: ClusterPlan | (() => Promise<ClusterPlan>)): () => Cluster {
  const closes: (() => Promise<void>)[] = []
  let cluster: Cluster | undefined
  before(async () => {
    const given = typeof plan === 'function' ? await plan() : plan
    cluster = await startCluster({ after: close => void closes.push(close) }, given)
  })
  after(async () => {
    for (const close of closes.toReversed()) await close()
  })
  return () => cluster ?? assert.fail('the cluster did not start')
}

/** What a suite of a plan is called. */
export const suiteName = ({ title = 'client', release, nameServer }: ClusterPlan) =>
  `${title}, broker ${release}, name server ${nameServer}`

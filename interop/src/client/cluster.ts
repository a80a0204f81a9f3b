import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import type { Release } from '../launch/apache.ts'
import type { RawRoute } from '../contract/brokers.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import { OurClient } from '../drivers/our-client.ts'
import { type JavaClient, javaClient } from '../drivers/java-client.ts'
import type { Owner } from '../launch/launched-program.ts'
import {
  type BrokerStart,
  type LaunchedServer,
  type Properties,
  type RunningNameServer,
  startApacheBroker,
  startApacheNameServer,
} from '../launch/launcher.ts'
import { startOurBroker, startOurBrokerInMemory } from '../launch/our-broker.ts'
import { startOurProgram } from '../launch/our-name-server.ts'
import { ask } from '../wire/raw-connection.ts'
import { parseFastjson } from '../wire/raw-frame.ts'

/** Which broker, name server and Java client to start. */
export interface ClusterPlan {
  readonly release: Release
  readonly nameServer: 'ours' | 'Apache'
  /** With our broker, `release` is that of the Java client only. In memory it is part of this process. Default Apache. */
  readonly broker?: 'ours' | 'ours in memory' | 'Apache'
  readonly properties?: Properties
  readonly files?: Readonly<Record<string, string>>
  /** The start of the suite's name. Default `client`. */
  readonly title?: string
  /** For a name server of Apache only. */
  readonly nameServerFlags?: readonly string[]
  readonly brokerFlags?: readonly string[]
  readonly javaFlags?: readonly string[]
}

const BROKER = 'a'
const CLUSTER = 'DefaultCluster'
const READ = 4
const ROUTE_MS = 30_000

/**
 * The shortest times that Apache accepts: retries (level 3 and up) come after one second, checks of transactions after two.
 * Level 2 is two seconds, so that a test can tell the levels apart.
 */
const FAST_SETTINGS: Properties = {
  messageDelayLevel: `1s 2s${' 1s'.repeat(16)}`,
  transactionTimeOut: 2_000,
  transactionCheckInterval: 1_000,
  // The default, 15, is over after 15 s on a busy machine.
  transactionCheckMax: 1_000,
  autoCreateTopicEnable: true,
  traceTopicEnable: true,
}

const SETTINGS_OF_APACHE: Properties = {
  enablePropertyFilter: true,
  // Without this a broker on a busy machine refuses requests.
  brokerFastFailureEnable: false,
}

const FAST_SETTINGS_OF_5: Properties = {
  recallMessageEnable: true,
  timerPrecisionMs: 100,
  // The broker writes outcomes of transactions after this many bytes or this much time. The default time is longer than that
  // of a check here; and when it has passed without an outcome, 5.5.0 waits for the next one in a busy loop.
  transactionOpMsgMaxSize: 1,
  transactionOpBatchInterval: 2_000_000_000,
}

const is5 = (release: Release) => release.startsWith('5.')

function settingsOf({ release, broker = 'Apache' }: Pick<ClusterPlan, 'release' | 'broker'>): Properties {
  if (broker === 'ours') return FAST_SETTINGS
  if (broker === 'ours in memory') return { ...FAST_SETTINGS, recallMessageEnable: true }
  return { ...FAST_SETTINGS, ...SETTINGS_OF_APACHE, ...(is5(release) ? FAST_SETTINGS_OF_5 : {}) }
}

/** The servers and clients that the cases of one release line share. */
export class Cluster {
  readonly plan: ClusterPlan
  readonly release: Release
  /** `ip:port`, for the option `nameServers` of clients. */
  readonly nameServers: string
  readonly broker: LaunchedServer
  readonly brokerName = BROKER
  readonly java: JavaClient
  readonly ours: OurClient
  readonly nameServer: RunningNameServer

  constructor(
    owner: Owner,
    plan: ClusterPlan,
    nameServer: RunningNameServer,
    broker: LaunchedServer,
    java: JavaClient,
  ) {
    this.plan = plan
    this.release = plan.release
    this.nameServer = nameServer
    this.nameServers = `127.0.0.1:${nameServer.port}`
    this.broker = broker
    this.java = java
    this.ours = new OurClient(owner, this.nameServers)
  }

  get isOurs(): boolean {
    return this.plan.broker === 'ours' || this.plan.broker === 'ours in memory'
  }

  /** Whether the broker answers as the 5.x line does. */
  get is5(): boolean {
    return this.isOurs || is5(this.release)
  }

  /** Whether the Java client is of the 5.x line. */
  get isJava5(): boolean {
    return is5(this.release)
  }

  /** Creates a topic with a unique name and waits until the name server has its route. */
  async topic(word = 'topic', queues = 4): Promise<string> {
    const topic = unique(word)
    await this.createTopic(topic, queues)
    return topic
  }

  /** Creates a topic with this name and waits until the name server has its route. */
  async createTopic(topic: string, queues = 4): Promise<void> {
    await this.java.createTopic(this.broker.address, topic, queues)
    await eventually(() => this.hasRoute(topic, queues), ROUTE_MS)
  }

  /** @throws if the name server has no route of a topic, or one with another number of readable queues */
  async hasRoute(topic: string, queues?: number): Promise<void> {
    const answer = await ask(this.nameServer.port, { code: 105, extFields: { topic } })
    assert.equal(answer.code, 0, `no route of ${topic}`)
    if (queues === undefined) return
    const { queueDatas } = parseFastjson(answer.body) as RawRoute
    const readable = queueDatas.filter(({ perm }) => (perm & READ) !== 0)
    assert.equal(
      readable.reduce((sum, queue) => sum + queue.readQueueNums, 0),
      queues,
    )
  }

  /** Starts another broker of this cluster. */
  startBroker(owner: Owner, start: Omit<BrokerStart, 'nameServers' | 'release'>): Promise<LaunchedServer> {
    const properties = { ...settingsOf(this.plan), ...start.properties }
    return startBroker(owner, this.plan, {
      ...start,
      properties,
      release: this.release,
      nameServers: [this.nameServers],
    })
  }
}

function startNameServer(owner: Owner, plan: ClusterPlan): Promise<RunningNameServer> {
  if (plan.nameServer === 'ours') return startOurProgram(owner)
  return startApacheNameServer(owner, plan.release, {}, plan.nameServerFlags)
}

function startBroker(owner: Owner, { broker }: ClusterPlan, start: BrokerStart): Promise<LaunchedServer> {
  if (broker === 'ours in memory') return startOurBrokerInMemory(owner, start)
  return broker === 'ours' ? startOurBroker(owner, start) : startApacheBroker(owner, start)
}

/** Starts what a plan names. */
export async function startCluster(owner: Owner, plan: ClusterPlan): Promise<Cluster> {
  const { release, files = {}, brokerFlags = [], javaFlags = [] } = plan
  const nameServer = await startNameServer(owner, plan)
  const nameServers = `127.0.0.1:${nameServer.port}`
  const properties = {
    ...settingsOf(plan),
    brokerClusterName: CLUSTER,
    ...plan.properties,
  }
  const [broker, java] = await Promise.all([
    startBroker(owner, plan, {
      release,
      name: BROKER,
      nameServers: [nameServers],
      properties,
      files,
      flags: brokerFlags,
    }),
    javaClient(owner, release, nameServers, javaFlags),
  ])
  return new Cluster(owner, plan, nameServer, broker, java)
}

/** Starts a cluster for the enclosing `describe` and returns a function that gets it. */
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

/** The name of the suite of a plan. */
export const suiteName = ({ title = 'client', release, nameServer, broker }: ClusterPlan) =>
  broker === 'ours' || broker === 'ours in memory'
    ? `${title}, our broker${broker.slice('ours'.length)}, Java client ${release}, name server ${nameServer}`
    : `${title}, broker ${release}, name server ${nameServer}`

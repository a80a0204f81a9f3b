import { freemem } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Owner } from '../../interop/src/launch/launched-program.ts'
import { type LaunchedServer, startApacheBroker, startApacheNameServer } from '../../interop/src/launch/launcher.ts'
import { ask } from '../../interop/src/wire/raw-connection.ts'

const RELEASE = '5.5.0'
const QUEUES = 8
const ROOMY = 8 * 2 ** 30
const TOPIC_DEADLINE_MS = 20_000
const POLL_MS = 50
const SUCCESS = 0
const UPDATE_AND_CREATE_TOPIC = 17
const GET_ROUTEINFO_BY_TOPIC = 105

// The JVM flags of the launcher are for tests that run for seconds; these undo them. By default a broker refuses a message that
// has waited 200 ms with "system busy": with 256 in flight on a busy machine that would measure the machine.
const flags = ['-XX:-UseSerialGC', '-XX:+UseG1GC', '-XX:TieredStopAtLevel=4']
const properties = {
  flushDiskType: 'ASYNC_FLUSH',
  mappedFileSizeCommitLog: 2 ** 30,
  mappedFileSizeConsumeQueue: 300_000 * 20,
  waitTimeMillsInSendQueue: 2_000,
}

/** The broker that all clients use and its name server, both of Apache 5.5.0. */
export class BenchCluster {
  readonly #nameServer: LaunchedServer
  readonly #broker: LaunchedServer

  private constructor(nameServer: LaunchedServer, broker: LaunchedServer) {
    this.#nameServer = nameServer
    this.#broker = broker
  }

  static async start(owner: Owner): Promise<BenchCluster> {
    const heap = freemem() > ROOMY ? '2g' : '1g'
    const nameServer = await startApacheNameServer(owner, RELEASE)
    const broker = await startApacheBroker(owner, {
      release: RELEASE,
      nameServers: [nameServer.address],
      name: 'bench',
      properties,
      flags: [...flags, `-Xms${heap}`, `-Xmx${heap}`],
    })
    return new BenchCluster(nameServer, broker)
  }

  get nameServers(): string {
    return this.#nameServer.address
  }

  /** A folder for the logs of clients. */
  get folder(): string {
    return this.#broker.folder
  }

  /** Creates a topic and waits until the name server has its route. */
  async createTopic(topic: string): Promise<void> {
    const extFields = {
      topic,
      defaultTopic: 'TBW102',
      readQueueNums: `${QUEUES}`,
      writeQueueNums: `${QUEUES}`,
      perm: '6',
      topicFilterType: 'SINGLE_TAG',
      topicSysFlag: '0',
      order: 'false',
    }
    const answer = await ask(this.#broker.port, { code: UPDATE_AND_CREATE_TOPIC, extFields })
    if (answer.code !== SUCCESS) throw new Error(`the broker did not create ${topic}: ${answer.remark}`)
    await this.#untilRouted(topic)
  }

  async #untilRouted(topic: string): Promise<void> {
    const end = Date.now() + TOPIC_DEADLINE_MS
    const query = { code: GET_ROUTEINFO_BY_TOPIC, extFields: { topic } }
    while ((await ask(this.#nameServer.port, query)).code !== SUCCESS) {
      if (Date.now() > end) throw new Error(`no route of ${topic} in ${TOPIC_DEADLINE_MS} ms`)
      await sleep(POLL_MS)
    }
  }
}

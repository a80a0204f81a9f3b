import { setTimeout as sleep } from 'node:timers/promises'
import { closer, type Closer } from '../harness/closer.ts'
import { Neighbours } from '../harness/neighbours.ts'
import { type CaseResults as CaseResultsOf, measureRounds } from '../harness/rounds.ts'
import { BenchCluster } from './broker.ts'
import { applies, type Case } from './cases.ts'
import {
  type Filled,
  followDrain,
  followSend,
  measureDelay,
  measureDrain,
  measureSend,
  type Phases,
  type Result,
  sendOptions,
} from './measure.ts'
import { isJava, launch, launchJava, type SubjectName } from './subjects.ts'
import type { WorkerProcess } from './worker-process.ts'

export type CaseResults = CaseResultsOf<Case, SubjectName, Result>

export interface Timing {
  readonly runMs: number
  /** Warm-up before the first round of a case. A JVM needs more, because it compiles while it works. */
  readonly warmMs: number
  readonly jvmWarmMs: number
  /** How often each case is measured. The median by messages a second counts. */
  readonly rounds: number
  /** Messages in the topic to consume. */
  readonly drainMessages: number
  /** Runs all cases of a client in one process: saves starts, but the resident memory is that of all cases. */
  readonly oneProcess: boolean
  /** The number of messages in the memory cases. */
  readonly memoryMessages: number
}

export interface SuiteOptions {
  readonly subjects: readonly SubjectName[]
  /** Whether the command line names the subjects. */
  readonly byName: boolean
  readonly timing: Timing
  readonly profileTo?: string | undefined
}

/** How long the first consumption of a topic may take in the memory cases, milliseconds. */
const WARM_PASS_MS = 300_000
const SETTLE_MS = 300
const REWARM_MS = 300
// Messages that wait for a new consumer on its last queue would count as latency.
const NEW_GROUP_MS = 2_000
const FILL_DEADLINE_MS = 600_000
// The broker writes its queues a little after its log.
const DISPATCH_MS = 1_000

/** Consecutive cases of the same kind share a process. */
function kindOf(one: Case, { oneProcess }: Timing): string {
  if (one.work === 'memory') return one.id
  return oneProcess ? 'any' : one.work
}

/** Owns the broker and the clients, and runs cases with them in turn. */
export class ClientSuite {
  readonly #options: SuiteOptions
  readonly #closer: Closer
  readonly #cluster: BenchCluster
  readonly #workers = new Map<SubjectName, WorkerProcess>()
  readonly #filled = new Map<string, Filled>()
  readonly #warm = new Set<string>()
  readonly #neighbours = new Neighbours()
  #kind = ''
  #names = 0

  private constructor(options: SuiteOptions, cluster: BenchCluster, closing: Closer) {
    this.#options = options
    this.#cluster = cluster
    this.#closer = closing
  }

  static async create(options: SuiteOptions): Promise<ClientSuite> {
    const closing = closer()
    try {
      return new ClientSuite(options, await BenchCluster.start(closing.owner), closing)
    } catch (error) {
      await closing.close()
      throw error
    }
  }

  /** The part of the machine's CPU that other programs used between the measurements, 0 to 1. */
  get neighbours(): number {
    return this.#neighbours.share
  }

  async run(one: Case): Promise<CaseResults> {
    const { subjects, byName, timing } = this.#options
    const kind = kindOf(one, timing)
    if (kind !== this.#kind) await this.#closeWorkers()
    this.#kind = kind
    const names = subjects.filter(subject => applies(one, subject, byName))
    const rounds = one.work === 'memory' ? 1 : timing.rounds
    const results = await measureRounds(names, rounds, async subject => {
      try {
        return await this.#measure(one, subject)
      } catch (error) {
        await this.#abandon(subject)
        throw error
      }
    })
    return { case: one, results }
  }

  async close(): Promise<void> {
    await this.#closeWorkers()
    await this.#closer.close()
  }

  async #closeWorkers(): Promise<void> {
    await Promise.all([...this.#workers.values()].map(worker => worker.close()))
    this.#workers.clear()
  }

  async #abandon(subject: SubjectName): Promise<void> {
    await this.#workers.get(subject)?.close()
    this.#workers.delete(subject)
  }

  async #workerOf(subject: SubjectName): Promise<WorkerProcess> {
    const running = this.#workers.get(subject)
    if (running?.alive) return running
    const { nameServers, folder } = this.#cluster
    const worker = await launch(subject, { nameServers, logs: folder, profileTo: this.#options.profileTo })
    this.#workers.set(subject, worker)
    return worker
  }

  async #measure(one: Case, subject: SubjectName): Promise<Result> {
    const filled = await this.#filledFor(one)
    const worker = await this.#workerOf(subject)
    try {
      return await this.#do(one, subject, worker, filled)
    } finally {
      await sleep(SETTLE_MS)
      await this.#neighbours.rest(SETTLE_MS)
    }
  }

  async #do(one: Case, subject: SubjectName, worker: WorkerProcess, filled: Filled): Promise<Result> {
    const { runMs, memoryMessages } = this.#options.timing
    const mode = subject === 'java-async' ? 'async' : 'threads'
    if (one.work === 'send') {
      const topic = await this.#newTopic()
      return measureSend(worker, sendOptions(one, topic, mode), this.#phases(one, subject, worker))
    }
    if (one.work === 'delay') {
      const target = { topic: await this.#newTopic(), group: this.#newName('group') }
      const { warmMs } = this.#phases(one, subject, worker)
      return measureDelay(worker, one, target, { runMs, warmMs: Math.max(warmMs, NEW_GROUP_MS) })
    }
    if (one.work === 'drain') {
      const warmMs = this.#warmMs(one, subject, worker)
      if (warmMs > REWARM_MS) await measureDrain(worker, filled, this.#newName('group'), warmMs)
      return measureDrain(worker, filled, this.#newName('group'), runMs)
    }
    if (one.of === 'drain') {
      // Another group consumes the topic first: V8 enlarges its heap during the first millions of messages.
      await measureDrain(worker, filled, this.#newName('group'), WARM_PASS_MS)
      return followDrain(worker, filled, this.#newName('group'))
    }
    return followSend(worker, sendOptions(one, await this.#newTopic(), mode), memoryMessages)
  }

  #phases(one: Case, subject: SubjectName, worker: WorkerProcess): Phases {
    return { warmMs: this.#warmMs(one, subject, worker), runMs: this.#options.timing.runMs }
  }

  #warmMs(one: Case, subject: SubjectName, worker: WorkerProcess): number {
    const key = `${worker.pid} ${one.id}`
    if (this.#warm.has(key)) return REWARM_MS
    const isFresh = ![...this.#warm].some(each => each.startsWith(`${worker.pid} `))
    this.#warm.add(key)
    const { warmMs, jvmWarmMs } = this.#options.timing
    return isJava(subject) && isFresh ? jvmWarmMs : warmMs
  }

  #newName(what: string): string {
    return `bench-${what}-${++this.#names}`
  }

  async #newTopic(): Promise<string> {
    const topic = this.#newName('topic')
    await this.#cluster.createTopic(topic)
    return topic
  }

  /** A topic with as many messages as the case consumes. Its name is empty for a case that consumes nothing. */
  async #filledFor(one: Case): Promise<Filled> {
    const { drainMessages, memoryMessages } = this.#options.timing
    if (one.work === 'drain') return this.#fill(one.bytes, drainMessages)
    if (one.work === 'memory' && one.of === 'drain') return this.#fill(one.bytes, memoryMessages)
    return { topic: '', messages: 0 }
  }

  async #fill(bytes: number, messages: number): Promise<Filled> {
    const key = `${bytes} ${messages}`
    const known = this.#filled.get(key)
    if (known) return known
    const topic = await this.#newTopic()
    const filler = await launchJava({ nameServers: this.#cluster.nameServers, logs: this.#cluster.folder })
    try {
      await filler.ask('fill', ['filled'], FILL_DEADLINE_MS, { topic, bytes, messages })
    } finally {
      await filler.close()
    }
    await sleep(DISPATCH_MS)
    const filled = { topic, messages }
    this.#filled.set(key, filled)
    return filled
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import type { Owner } from '../../interop/src/launch/launched-program.ts'
import { Neighbours } from '../neighbours.ts'
import { Broker } from './broker.ts'
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

export interface Failure {
  readonly error: string
}

export type PerSubject<T> = Partial<Record<SubjectName, T>>

export interface CaseResults {
  readonly case: Case
  readonly results: PerSubject<Result | Failure>
}

export interface Timing {
  readonly runMs: number
  /** Before the first round of a case; a JVM compiles while it works and gets its own. */
  readonly warmMs: number
  readonly jvmWarmMs: number
  /** Each case is measured so often; the median by messages a second counts. */
  readonly rounds: number
  /** In the topic that is consumed. */
  readonly drainMessages: number
  /** A client does all its cases in one process: saves starts, and its resident memory is that of all of them. */
  readonly oneProcess: boolean
  /** That the memory is followed over. */
  readonly memoryMessages: number
}

export interface SuiteOptions {
  readonly subjects: readonly SubjectName[]
  /** The subjects were asked for by name. */
  readonly byName: boolean
  readonly timing: Timing
  readonly profileTo?: string | undefined
}

/** How long a whole topic may take before its memory is followed, milliseconds. */
const WARM_PASS_MS = 300_000
const SETTLE_MS = 300
const REWARM_MS = 300
// What a new consumer finds waiting on its last queue is not latency.
const NEW_GROUP_MS = 2_000
const FILL_DEADLINE_MS = 600_000
// The broker writes its queues a little behind its log.
const DISPATCH_MS = 1_000

function median<T>(values: readonly T[], by: (value: T) => number): T {
  return values.toSorted((a, b) => by(a) - by(b))[values.length >> 1] as T
}

/** What a process is started for; it lives as long as cases of this kind follow each other. */
function kindOf(one: Case, { oneProcess }: Timing): string {
  if (one.work === 'memory') return one.id
  return oneProcess ? 'any' : one.work
}

interface Closer {
  readonly owner: Owner
  close(): Promise<void>
}

/** Collects what the launcher wants closed, and closes it in reverse. */
function closer(): Closer {
  const closes: (() => Promise<void>)[] = []
  const close = async () => {
    for (const each of closes.splice(0).toReversed()) await each()
  }
  return { owner: { after: each => void closes.push(each) }, close }
}

/** Owns the broker and the clients under test and runs cases with them in turn. */
export class Suite {
  readonly #options: SuiteOptions
  readonly #closer: Closer
  readonly #broker: Broker
  readonly #workers = new Map<SubjectName, WorkerProcess>()
  readonly #filled = new Map<string, Filled>()
  readonly #warm = new Set<string>()
  readonly #neighbours = new Neighbours()
  #kind = ''
  #names = 0

  private constructor(options: SuiteOptions, broker: Broker, closing: Closer) {
    this.#options = options
    this.#broker = broker
    this.#closer = closing
  }

  static async create(options: SuiteOptions): Promise<Suite> {
    const closing = closer()
    try {
      return new Suite(options, await Broker.start(closing.owner), closing)
    } catch (error) {
      await closing.close()
      throw error
    }
  }

  /** Part of the machine's CPU that others took between the measurements, 0 to 1. */
  get neighbours(): number {
    return this.#neighbours.share
  }

  /** Measures a case with all subjects, round by round, so that they share whatever else the machine does. */
  async run(one: Case): Promise<CaseResults> {
    const kind = kindOf(one, this.#options.timing)
    if (kind !== this.#kind) await this.#closeWorkers()
    this.#kind = kind
    const results: PerSubject<Result | Failure> = {}
    const seen = new Map<SubjectName, Result[]>()
    const rounds = one.work === 'memory' ? 1 : this.#options.timing.rounds
    const subjects = this.#options.subjects.filter(subject => applies(one, subject, this.#options.byName))
    for (let round = 0; round < rounds; round++) {
      for (const subject of subjects) {
        if (results[subject]) continue
        const result = await this.#measure(one, subject).catch(asFailure)
        if ('error' in result) results[subject] = await this.#giveUp(subject, result)
        else seen.set(subject, [...(seen.get(subject) ?? []), result])
      }
    }
    for (const [subject, all] of seen) results[subject] ??= median(all, result => result.perSecond)
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

  async #giveUp(subject: SubjectName, failure: Failure): Promise<Failure> {
    await this.#workers.get(subject)?.close()
    this.#workers.delete(subject)
    return failure
  }

  async #workerOf(subject: SubjectName): Promise<WorkerProcess> {
    const running = this.#workers.get(subject)
    if (running?.alive) return running
    const { nameServers, folder } = this.#broker
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
      const place = { topic: await this.#newTopic(), group: this.#newName('group') }
      const { warmMs } = this.#phases(one, subject, worker)
      return measureDelay(worker, one, place, { runMs, warmMs: Math.max(warmMs, NEW_GROUP_MS) })
    }
    if (one.work === 'drain') {
      const warmMs = this.#warmMs(one, subject, worker)
      if (warmMs > REWARM_MS) await measureDrain(worker, filled, this.#newName('group'), warmMs)
      return measureDrain(worker, filled, this.#newName('group'), runMs)
    }
    if (one.of === 'drain') {
      // Once before by another group: at 300,000 messages a second V8 widens its heap for some millions of them.
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
    await this.#broker.createTopic(topic)
    return topic
  }

  /** A topic with as many messages as the case consumes; an empty name for a case that consumes nothing. */
  async #filledFor(one: Case): Promise<Filled> {
    const { drainMessages, memoryMessages } = this.#options.timing
    if (one.work === 'drain') return this.#fill(one.bytes, drainMessages)
    if (one.work === 'memory' && one.of === 'drain') return this.#fill(one.bytes, memoryMessages)
    return { topic: '', messages: 0 }
  }

  async #fill(bytes: number, messages: number): Promise<Filled> {
    const key = `${bytes} ${messages}`
    const there = this.#filled.get(key)
    if (there) return there
    const topic = await this.#newTopic()
    const filler = await launchJava({ nameServers: this.#broker.nameServers, logs: this.#broker.folder })
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

function asFailure(error: unknown): Failure {
  return { error: error instanceof Error ? error.message : String(error) }
}

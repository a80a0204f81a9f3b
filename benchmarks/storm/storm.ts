import { setTimeout as sleep } from 'node:timers/promises'
import { brokerAt, plainRequest, registrations, topicName } from '../name-server/plan.ts'
import { cpuMsOf, rssMbOf, waitMsOf } from '../harness/process-stats.ts'
import type { RunningSubject, Subject } from '../name-server/subjects.ts'
import { AskingConnection } from './asking-connection.ts'
import type { PhaseAnswers } from './asked.ts'
import type { BrokersRegistered } from './brokers.ts'
import { StormChild } from './child.ts'
import type { ClientsCommand } from './clients.ts'
import { type Phase, STANDING_TOPICS, standingTopic, type StormSize } from './size.ts'

/** The figures of a phase. */
export interface PhaseResult extends PhaseAnswers {
  /** CPU time of the server in the phase, all threads. */
  readonly serverCpuMs: number
  /** How long its threads waited for a processor in the phase. Large on a busy machine: then the times mean little. */
  readonly serverWaitMs: number
  /** Resident memory of the server at its end. */
  readonly rssMb: number
}

/** A storm on one server. */
export interface StormResult {
  readonly phases: Readonly<Record<Phase, PhaseResult>>
  readonly registered: BrokersRegistered
  /** From the end of the brokers to the first moment at which no route has one of them. */
  readonly goneMs: number
}

/** How a server is started for a storm. */
export interface StormOptions {
  /** How long clients ask before the first phase. */
  readonly warmMs: number
  readonly profileTo?: string
}

// Apache's start script gives it this heap. The smaller one of the other cases has no room for three million rows.
const APACHE_HEAP_MB = 4096
const REPORT_DEADLINE_MS = 60_000
const GONE_DEADLINE_MS = 60_000
const POLL_MS = 20
const PROBES = 8
const TOPIC_NOT_EXIST = 17

/** Starts a server, lets the storm pass over it, and stops it. @throws Error if brokers are refused or never go */
export async function runStorm(subject: Subject, size: StormSize, options: StormOptions): Promise<StormResult> {
  const { profileTo } = options
  const server = await subject.start({ heapMb: APACHE_HEAP_MB, ...(profileTo === undefined ? {} : { profileTo }) })
  const { port } = server
  const standingBroker = new AskingConnection(port)
  const clients = new StormChild('the clients', 'clients.ts', [port, size.clients, size.askEveryMs, size.topics])
  const brokers = new StormChild('the brokers', 'brokers.ts', [port, size.brokers, size.topics, size.registerWithinMs])
  try {
    await registerStandingBroker(standingBroker)
    await brokers.report(REPORT_DEADLINE_MS)
    await sleep(options.warmMs)
    const recorder = new PhaseRecorder(server, clients)
    recorder.begin('quiet')
    await sleep(size.quietMs)
    recorder.begin('registering')
    brokers.tell({})
    const registered = await brokers.report<BrokersRegistered>(size.registerWithinMs + REPORT_DEADLINE_MS)
    if (registered.refused > 0) throw new Error(`${registered.refused} of ${size.brokers} registrations failed`)
    recorder.begin('registered')
    await sleep(size.registeredMs)
    recorder.begin('hanging up')
    brokers.kill()
    const goneMs = await gone(port, size)
    await sleep(Math.max(0, size.hangingUpMs - goneMs))
    recorder.begin('after')
    await sleep(size.afterMs)
    return { phases: await recorder.results(), registered, goneMs }
  } finally {
    for (const child of [clients, brokers]) child.kill()
    standingBroker.close()
    await server.close()
  }
}

function asked(connection: AskingConnection, parts: readonly Buffer[]): Promise<number | undefined> {
  return new Promise(resolve => connection.ask(parts, resolve))
}

async function registerStandingBroker(connection: AskingConnection): Promise<void> {
  const topics = Array.from({ length: STANDING_TOPICS }, (_, i) => standingTopic(i))
  const [registration] = registrations([{ ...brokerAt(0xffff), name: 'standing' }], topics)
  if (!registration) return
  const code = await asked(connection, [registration.start, registration.topics])
  if (code !== 0) throw new Error(`the name server refused the standing broker with code ${code}`)
}

/** Polls until the topics of the brokers are gone; returns how long that took. */
async function gone(port: number, { topics }: StormSize): Promise<number> {
  const probe = new AskingConnection(port)
  const begin = performance.now()
  try {
    for (let i = 0; i < PROBES; i++) {
      const request = plainRequest(105, { topic: topicName(Math.floor((i * (topics - 1)) / (PROBES - 1))) }, i)
      while ((await asked(probe, [request])) !== TOPIC_NOT_EXIST) {
        if (performance.now() - begin > GONE_DEADLINE_MS) throw new Error('routes still have brokers that hung up')
        await sleep(POLL_MS)
      }
    }
  } finally {
    probe.close()
  }
  return performance.now() - begin
}

/** Tells the clients which phase begins, and reads what the server has used in each. */
class PhaseRecorder {
  readonly #server: RunningSubject
  readonly #clients: StormChild
  readonly #used = new Map<Phase, Omit<PhaseResult, keyof PhaseAnswers>>()
  #current: { readonly phase: Phase; readonly cpuMs: number; readonly waitMs: number } | undefined

  constructor(server: RunningSubject, clients: StormChild) {
    this.#server = server
    this.#clients = clients
  }

  begin(phase: Phase): void {
    this.#end()
    const { pid } = this.#server
    this.#current = { phase, cpuMs: cpuMsOf(pid), waitMs: waitMsOf(pid) }
    this.#clients.tell({ phase } satisfies ClientsCommand)
  }

  #end(): void {
    if (!this.#current) return
    const { pid } = this.#server
    const { phase, cpuMs, waitMs } = this.#current
    this.#used.set(phase, {
      serverCpuMs: cpuMsOf(pid) - cpuMs,
      serverWaitMs: waitMsOf(pid) - waitMs,
      rssMb: rssMbOf(pid),
    })
  }

  /** Ends the last phase and returns the figures of all. */
  async results(): Promise<StormResult['phases']> {
    this.#end()
    this.#clients.tell({ phase: 'end' } satisfies ClientsCommand)
    const answers = await this.#clients.report<Record<Phase, PhaseAnswers>>(REPORT_DEADLINE_MS)
    const all = [...this.#used].map(([phase, used]) => [phase, { ...answers[phase], ...used }] as const)
    return Object.fromEntries(all) as StormResult['phases']
  }
}

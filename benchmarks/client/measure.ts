import { setTimeout as sleep } from 'node:timers/promises'
import { type Growth, growthOf, type Sample } from '../harness/growth.ts'
import { cpuMsOf, peakRssMbOf, rssMbOf } from '../harness/process-stats.ts'
import type { DelayCase, SendCase } from './cases.ts'
import type { CommandOptions, Reading } from './worker-lines.ts'
import { asReading, type WorkerProcess } from './worker-process.ts'

/** The figures of a case with one client. */
export interface Result {
  readonly perSecond: number
  /** Messages that failed after all retries. */
  readonly failed: number
  /** Time of a send, or from send to listener; 0 if the case has no such time. */
  readonly p50Us: number
  readonly p99Us: number
  /** User and system time of the client's process for a message, microseconds. */
  readonly cpuUs: number
  readonly rssMb: number
  readonly peakRssMb: number
  readonly growth?: Growth
}

export interface Phases {
  readonly warmMs: number
  readonly runMs: number
}

const START_DEADLINE_MS = 60_000
const STOP_DEADLINE_MS = 30_000
const SAMPLE_MS = 500
const STALL_MS = 30_000
/** A client of which more than this part of the messages failed was not measured, but its failures. */
const MOST_FAILED = 0.01

function resultOf(worker: WorkerProcess, reading: Reading, cpuMs: number): Result {
  const { messages, failed, ms, p50Us, p99Us } = reading
  if (messages === 0) throw new Error(`no message succeeded, ${failed} failed`)
  if (failed > MOST_FAILED * (messages + failed)) throw new Error(`${failed} of ${messages + failed} messages failed`)
  return {
    perSecond: (messages * 1000) / ms,
    failed,
    p50Us,
    p99Us,
    cpuUs: (cpuMs * 1000) / messages,
    rssMb: rssMbOf(worker.pid),
    peakRssMb: peakRssMbOf(worker.pid),
  }
}

async function stop(worker: WorkerProcess): Promise<void> {
  await worker.ask('stop', ['stopped'], STOP_DEADLINE_MS)
}

/** Counts the messages of a running command for a time. */
async function count(worker: WorkerProcess, { warmMs, runMs }: Phases): Promise<Result> {
  await sleep(warmMs)
  await worker.mark()
  const cpuMs = cpuMsOf(worker.pid)
  await sleep(runMs)
  const reading = await worker.mark()
  return resultOf(worker, reading, cpuMsOf(worker.pid) - cpuMs)
}

/** Sends with a number of messages in flight. */
export async function measureSend(worker: WorkerProcess, options: CommandOptions, phases: Phases): Promise<Result> {
  await worker.ask('send', ['running'], START_DEADLINE_MS, options)
  const result = await count(worker, phases)
  await stop(worker)
  return result
}

/** @param mode for Java: threads or async */
export function sendOptions({ bytes, inFlight }: Pick<SendCase, 'bytes' | 'inFlight'>, topic: string, mode: string) {
  return { topic, bytes, inFlight, mode }
}

export async function measureDelay(
  worker: WorkerProcess,
  { bytes, perSecond }: DelayCase,
  { topic, group }: { topic: string; group: string },
  phases: Phases,
): Promise<Result> {
  await worker.ask('delay', ['running'], START_DEADLINE_MS, { topic, group, bytes, perSecond })
  const result = await count(worker, phases)
  await stop(worker)
  return result
}

/** A topic and how many messages it has. */
export interface Filled {
  readonly topic: string
  readonly messages: number
}

// A consumer that is still getting its queues is slower.
const SKIPPED_PART = 0.05

/** Consumes a topic to its end, at most for `runMs`. */
export async function measureDrain(
  worker: WorkerProcess,
  { topic, messages }: Filled,
  group: string,
  runMs: number,
): Promise<Result> {
  const skip = Math.floor(messages * SKIPPED_PART)
  await worker.ask('drain', ['begun'], START_DEADLINE_MS, { topic, group, messages, skip })
  const cpuMs = cpuMsOf(worker.pid)
  const done = await worker.next(['done'], runMs)
  const reading = done ? asReading(done) : await worker.mark()
  const result = resultOf(worker, reading, cpuMsOf(worker.pid) - cpuMs)
  await stop(worker)
  return result
}

/** Records the resident memory until a running command has processed this many messages. */
async function follow(worker: WorkerProcess, messages: number): Promise<Result> {
  const samples: Sample[] = []
  const cpuMs = cpuMsOf(worker.pid)
  const begin = performance.now()
  let [seen, failed, progressAt] = [0, 0, begin]
  while (seen < messages) {
    await sleep(SAMPLE_MS)
    const reading = await worker.mark(STALL_MS)
    if (reading.messages > 0) progressAt = performance.now()
    else if (performance.now() - progressAt > STALL_MS)
      throw new Error(`no progress in ${STALL_MS} ms after ${seen} messages`)
    seen += reading.messages
    failed += reading.failed
    samples.push({ messages: seen, rssMb: rssMbOf(worker.pid) })
  }
  const reading = { messages: seen, failed, ms: performance.now() - begin, p50Us: 0, p99Us: 0 }
  return { ...resultOf(worker, reading, cpuMsOf(worker.pid) - cpuMs), growth: growthOf(samples) }
}

/** Sends this many messages and records the memory. */
export async function followSend(worker: WorkerProcess, options: CommandOptions, messages: number): Promise<Result> {
  await worker.ask('send', ['running'], START_DEADLINE_MS, options)
  const result = await follow(worker, messages)
  await stop(worker)
  return result
}

/** Consumes a topic to its end and records the memory. */
export async function followDrain(worker: WorkerProcess, { topic, messages }: Filled, group: string): Promise<Result> {
  // Skips nothing and ends one message too late, so that only `mark` returns figures.
  worker.write('drain', { topic, group, messages: messages + 1, skip: 0 })
  const result = await follow(worker, messages)
  await stop(worker)
  return result
}

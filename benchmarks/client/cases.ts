import type { SubjectName } from './subjects.ts'

/** What is wanted of our client. Ratios are to Apache's Java client in the same run. */
export interface Goal {
  /** Messages a second, at least; to the best that Java does. */
  readonly speedRatio?: number
  /** CPU a message, at most; to the least that Java needs. */
  readonly cpuRatio?: number
  /** Messages a second, at least; as many as Java are enough, since then it is the broker that has no more to give. */
  readonly perSecond?: number
  /** CPU a message at most, in microseconds. */
  readonly cpuUs?: number
  /** Growth of the resident memory, at most; MB for a million messages. */
  readonly growthMb?: number
}

interface Common {
  readonly id: string
  readonly title: string
  readonly bytes: number
  readonly goal?: Goal
  /** Part of `--quick`. */
  readonly quick?: boolean
}

/** `inFlight` messages are under way at any time; time is from send to the broker's answer. */
export interface SendCase extends Common {
  readonly work: 'send'
  readonly inFlight: number
}

/** A filled topic is consumed from its beginning by a listener that does nothing. */
export interface DrainCase extends Common {
  readonly work: 'drain'
}

/** Messages at a fixed rate, each timed from before it is sent until the listener of the same process has it. */
export interface DelayCase extends Common {
  readonly work: 'delay'
  readonly perSecond: number
}

/** The works of above for a number of messages, in a process of its own: how the resident memory goes. */
export interface MemoryCase extends Common {
  readonly work: 'memory'
  readonly of: 'send' | 'drain'
  readonly inFlight: number
}

/** One load. */
export type Case = SendCase | DrainCase | DelayCase | MemoryCase

const CPU_GOAL = 1
const FLAT_MB = 2

function sizeOf(bytes: number): string {
  return bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KB`
}

function send(bytes: number, inFlight: number, rest: Partial<SendCase> = {}): SendCase {
  const title = `send ${sizeOf(bytes)}, ${inFlight} in flight`
  return {
    work: 'send',
    id: `send-${bytes}-${inFlight}`,
    title,
    bytes,
    inFlight,
    goal: { cpuRatio: CPU_GOAL },
    ...rest,
  }
}

function memory(of: 'send' | 'drain', title: string): MemoryCase {
  return { work: 'memory', of, id: `memory-${of}`, title, bytes: 128, inFlight: 256, goal: { growthMb: FLAT_MB } }
}

const alone: Goal = { speedRatio: 1, cpuRatio: CPU_GOAL }
const crowd: Goal = { speedRatio: 0.8, cpuRatio: CPU_GOAL }

const cases: readonly Case[] = [
  send(128, 1, { goal: alone, quick: true }),
  send(128, 16),
  send(128, 256, { goal: crowd, quick: true }),
  send(1024, 1, { goal: alone }),
  send(1024, 16),
  send(1024, 256, { goal: crowd }),
  {
    work: 'drain',
    id: 'consume-128',
    title: 'consume 128 B from a filled topic',
    bytes: 128,
    goal: { cpuRatio: CPU_GOAL, perSecond: 100_000, cpuUs: 10 },
    quick: true,
  },
  { work: 'delay', id: 'latency', title: 'send to listener, 128 B, 500/s', bytes: 128, perSecond: 500, quick: true },
  memory('send', 'memory, sending 128 B, 256 in flight'),
  memory('drain', 'memory, consuming 128 B'),
]

export interface Selection {
  readonly quick: boolean
  /** Parts of ids; none selects everything. */
  readonly words: readonly string[]
}

/** The cases of a run. Words find a case that is not quick, too. */
export function selectCases({ quick, words }: Selection): Case[] {
  if (words.length === 0) return cases.filter(one => one.quick || !quick)
  return cases.filter(({ id }) => words.some(word => id.includes(word)))
}

/**
 * Whether a subject has a part in a case. With one message in flight callbacks are threads by another name; and in
 * memory only ours has a goal, so the others measure it only when they are asked for by name.
 */
export function applies(one: Case, subject: SubjectName, byName: boolean): boolean {
  if (one.work === 'memory') return byName || subject === 'ours'
  return subject !== 'java-async' || (one.work === 'send' && one.inFlight > 1)
}

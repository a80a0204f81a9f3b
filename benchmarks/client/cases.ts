import type { SubjectName } from './subjects.ts'

/** A goal for our client. Ratios are to Apache's Java client in the same run. */
export interface Goal {
  /** Minimum of messages a second, relative to Java's best. */
  readonly speedRatio?: number
  /** Maximum of CPU time for a message, relative to Java's best. */
  readonly cpuRatio?: number
  /** Minimum of messages a second. As many as Java has are enough, too: then the broker is the limit. */
  readonly perSecond?: number
  /** Maximum of CPU time for a message, microseconds. */
  readonly cpuUs?: number
  /** Maximum growth of the resident memory, MB for a million messages. */
  readonly growthMb?: number
}

interface Common {
  readonly id: string
  readonly title: string
  readonly bytes: number
  readonly goal?: Goal
  /** Whether it belongs to `--quick`. */
  readonly quick?: boolean
}

/** Keeps `inFlight` messages in flight. Times are from the call of send to the broker's answer. */
export interface SendCase extends Common {
  readonly work: 'send'
  readonly inFlight: number
}

/** Consumes a filled topic from its start with a listener that does nothing. */
export interface DrainCase extends Common {
  readonly work: 'drain'
}

/** Sends at a fixed rate. Times are from before the send until the listener of the same process has the message. */
export interface DelayCase extends Common {
  readonly work: 'delay'
  readonly perSecond: number
}

/** Sends or consumes a number of messages in a process of its own, and records the resident memory. */
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
  /** Parts of ids. An empty list selects everything. */
  readonly words: readonly string[]
}

/** The cases of a run. Words also select cases that are not quick. */
export function selectCases({ quick, words }: Selection): Case[] {
  if (words.length === 0) return cases.filter(one => one.quick || !quick)
  return cases.filter(({ id }) => words.some(word => id.includes(word)))
}

/**
 * Whether a case runs with a subject. With one message in flight callbacks and threads are the same. The memory cases have
 * goals for ours only, so other clients run them only if they are named.
 */
export function applies(one: Case, subject: SubjectName, byName: boolean): boolean {
  if (one.work === 'memory') return byName || subject === 'ours'
  return subject !== 'java-async' || (one.work === 'send' && one.inFlight > 1)
}

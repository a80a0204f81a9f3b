export type Flush = 'ASYNC_FLUSH' | 'SYNC_FLUSH'

/** How a broker is set up. Cases with the same setting run on the same brokers. */
export interface Setting {
  readonly flush: Flush
  /** Whether the broker has 10,000 topics beside those of the usual loads. */
  readonly manyTopics: boolean
}

/** A goal for our broker. Ratios are to the better of Apache's brokers in the same run. */
export interface Goal {
  /** Minimum of messages a second. */
  readonly speedRatio: number
  /** Maximum of CPU time for a message. */
  readonly cpuRatio: number
}

/** One load. */
export interface Case {
  readonly id: string
  readonly title: string
  /** `send-pull`: eight consumers, one for each queue, wait for the messages that are sent. */
  readonly work: 'send' | 'pull' | 'send-pull'
  readonly bytes: number
  readonly connections: number
  readonly inFlight: number
  readonly flush: Flush
  readonly topics: number
  /** Consumers that wait for messages, each on a connection of its own, while others send. No message comes for them. */
  readonly waiting: number
  readonly goal?: Goal
  /** Whether it belongs to `--quick`. */
  readonly quick?: boolean
}

type Load = Omit<Case, 'id' | 'title' | 'goal' | 'quick'>

const number = new Intl.NumberFormat('en')

function idOf({ work, bytes, connections, inFlight, flush, topics, waiting }: Load): string {
  const parts = [
    work,
    bytes,
    `${connections}x${inFlight}`,
    ...(flush === 'SYNC_FLUSH' ? ['sync'] : []),
    ...(topics > 1 ? [`topics-${topics}`] : []),
    ...(waiting > 0 ? [`waiting-${waiting}`] : []),
  ]
  return parts.join('-')
}

function titleOf({ work, bytes, connections, inFlight, flush, topics, waiting }: Load): string {
  const action = { send: 'send', pull: 'pull, 32 a batch,', 'send-pull': 'send with pull behind' }[work]
  const size = bytes < 1024 ? `${bytes} B` : `${bytes / 1024} KB`
  const rest = [
    ...(flush === 'SYNC_FLUSH' ? [', SYNC_FLUSH'] : []),
    ...(topics > 1 ? [`, ${number.format(topics)} topics`] : []),
    ...(waiting > 0 ? [`, ${number.format(waiting)} waiting consumers`] : []),
  ]
  return `${action} ${connections} x ${inFlight}, ${size}${rest.join('')}`
}

const usual = { flush: 'ASYNC_FLUSH', topics: 1, waiting: 0 } as const

function load(
  work: Case['work'],
  [connections, inFlight]: readonly [number, number],
  bytes: number,
  rest: Partial<Case> = {},
): Case {
  const made = { work, bytes, connections, inFlight, ...usual, ...rest }
  return { id: idOf(made), title: titleOf(made), ...made }
}

const goal = (speedRatio: number, cpuRatio: number): Goal => ({ speedRatio, cpuRatio })

const goalCases: readonly Case[] = [
  load('send', [1, 1], 128, { goal: goal(1.5, 0.4), quick: true }),
  load('send', [16, 1], 128, { goal: goal(2, 0.35) }),
  load('send', [64, 1], 1024, { goal: goal(1.5, 0.45) }),
  load('send', [16, 16], 128, { goal: goal(2, 0.35), quick: true }),
  load('send', [16, 16], 1024, { goal: goal(2, 0.35) }),
  load('send-pull', [16, 8], 128, { goal: goal(1.5, 0.4) }),
  load('pull', [8, 1], 128, { goal: goal(1.3, 0.6), quick: true }),
  load('send', [16, 1], 128, { flush: 'SYNC_FLUSH', goal: goal(1, 0.5) }),
  load('send', [16, 16], 128, { flush: 'SYNC_FLUSH', goal: goal(1, 0.5), quick: true }),
]

/** One load for each other size, without a goal. */
const breadth: readonly Case[] = [
  load('send', [16, 16], 128, { waiting: 1_000 }),
  load('send', [16, 16], 128, { topics: 1_000 }),
  load('send', [16, 16], 128, { topics: 10_000 }),
]

const connectionCounts = [1, 16, 64]
const depths = [1, 16]
const sizes = [128, 1024]
const flushes = ['ASYNC_FLUSH', 'SYNC_FLUSH'] as const

/** All other cases: every size with every kind of load. */
const otherCases: readonly Case[] = [
  ...flushes.flatMap(flush =>
    sizes.flatMap(bytes =>
      connectionCounts.flatMap(connections =>
        depths.map(depth => load('send', [connections, depth], bytes, { flush })),
      ),
    ),
  ),
  ...sizes.flatMap(bytes =>
    connectionCounts.flatMap(connections => depths.map(depth => load('pull', [connections, depth], bytes))),
  ),
  ...depths.flatMap(depth => [
    load('send', [16, depth], 128, { waiting: 1_000 }),
    load('send', [16, depth], 128, { topics: 1_000 }),
    load('send', [16, depth], 128, { topics: 10_000 }),
  ]),
  load('pull', [64, 1], 128, { waiting: 1_000 }),
]

export interface Selection {
  readonly quick: boolean
  readonly all: boolean
  /** Parts of ids. An empty list selects everything. */
  readonly words: readonly string[]
}

/** The cases of a run, those with the same setting together. Words select from all cases: whole ids, or else parts of them. */
export function selectCases({ quick, all, words }: Selection): Case[] {
  const every = unique([...goalCases, ...breadth, ...otherCases])
  const pool = quick ? goalCases.filter(one => one.quick) : all ? every : [...goalCases, ...breadth]
  const selected = words.length === 0 ? pool : every.filter(({ id }) => words.some(word => names(word, id, every)))
  return selected.toSorted((a, b) => keyOf(a).localeCompare(keyOf(b)))
}

function unique(cases: readonly Case[]): Case[] {
  return cases.filter((one, i) => cases.findIndex(({ id }) => id === one.id) === i)
}

function names(word: string, id: string, every: readonly Case[]): boolean {
  return every.some(one => one.id === word) ? id === word : id.includes(word)
}

/** The setting that a case needs. */
export function settingOf({ flush, topics }: Case): Setting {
  return { flush, manyTopics: topics > 1 }
}

function keyOf(one: Case): string {
  return settingKey(settingOf(one))
}

/** Equal for equal settings. */
export function settingKey({ flush, manyTopics }: Setting): string {
  return `${flush} ${manyTopics ? 'many topics' : 'few topics'}`
}

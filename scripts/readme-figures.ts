// Writes the figures that `npm run bench -- --save`, and the same with `client` and `broker`, have stored into the documents.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

interface Case {
  readonly perSecond: number
  readonly serverCpuUs: number
  readonly speedToApache?: number
  readonly cpuToApache?: number
}

interface Start {
  readonly startMs: number
  readonly rssMb: number
}

/** The part of benchmarks/name-server/baseline.json that the table needs. */
export interface Figures {
  readonly machine: string
  readonly node: string
  readonly cases: Readonly<Record<string, Case>>
  readonly starts?: { readonly ours?: Start; readonly apache?: Start }
  readonly storm?: Storm
}

/** The p99 of route queries in each phase of the storm. */
interface Storm {
  readonly p99Us: Readonly<Record<string, number>>
  readonly apacheP99Us: Readonly<Record<string, number>>
}

const stormRows: readonly (readonly [phase: string, title: string])[] = [
  ['registering', 'p99 of a route query while 300 brokers register 10,000 topics each'],
  ['hanging up', 'the same while all of them hang up'],
]

const rows: readonly (readonly [id: string, title: string])[] = [
  ['route-1000x2-16x1', 'route queries, 16 connections'],
  ['route-1000x2-16x16', 'the same, 16 in flight on each'],
  ['route-1000x2-200x1', 'route queries, 200 connections'],
  ['unchanged-1000x2-2x1', 'registrations of 1,000 topics, unchanged'],
  ['changed-1000x2-2x1', 'the same, one topic changed'],
  ['unchanged-10000x8-8x1', 'registrations of 10,000 topics, unchanged'],
]

const number = new Intl.NumberFormat('en', { maximumSignificantDigits: 3 })

function cell(value: number, unit: string): string {
  return `${number.format(value)}${unit}`
}

function loadRow(title: string, { perSecond, serverCpuUs, speedToApache, cpuToApache }: Case): string {
  const theirs = speedToApache === undefined ? '' : cell(perSecond / speedToApache, '/s')
  const theirCpu = cpuToApache === undefined ? '' : `, ${cell(serverCpuUs / cpuToApache, ' us')}`
  return `| ${title} | ${cell(perSecond, '/s')}, ${cell(serverCpuUs, ' us')} | ${theirs}${theirCpu} |`
}

function startRows({ ours, apache }: NonNullable<Figures['starts']>): string[] {
  if (ours === undefined) return []
  const row = (title: string, read: (start: Start) => string) =>
    `| ${title} | ${read(ours)} | ${apache === undefined ? '' : read(apache)} |`
  return [
    row('start to first answer', ({ startMs }) => cell(startMs, ' ms')),
    row('memory, idle', ({ rssMb }) => cell(rssMb, ' MB')),
  ]
}

function stormRowsOf({ p99Us, apacheP99Us }: Storm): string[] {
  const ms = (us: number | undefined) => (us === undefined ? '' : cell(us / 1000, ' ms'))
  return stormRows.map(([phase, title]) => `| ${title} | ${ms(p99Us[phase])} | ${ms(apacheP99Us[phase])} |`)
}

/** The table as Markdown, followed by the machine. */
export function figuresTable(figures: Figures): string {
  const loads = rows.flatMap(([id, title]) => {
    const one = figures.cases[id]
    return one === undefined ? [] : [loadRow(title, one)]
  })
  const head = ['| per second, CPU for each | Gantry | Apache 5.5.0 |', '|---|---:|---:|']
  const made = `Measured by \`npm run bench\` on ${figures.machine} with Node ${figures.node}, both servers in one run.`
  const storm = figures.storm ? stormRowsOf(figures.storm) : []
  return [...head, ...startRows(figures.starts ?? {}), ...loads, ...storm, '', made].join('\n')
}

/** Replaces the figures between the two marks of a document. */
export function withFigures(markdown: string, table: string): string {
  return markdown.replace(/(<!-- figures -->\n)[^]*?(<!-- \/figures -->)/, (_, open: string, close: string) =>
    table === '' ? open + close : `${open}${table}\n${close}`,
  )
}

interface ClientCase {
  readonly perSecond: number
  readonly cpuUs: number
  readonly speedToJava: number
  readonly cpuToJava: number
}

/** The part of benchmarks/client/baseline.json that the table needs. */
export interface ClientFigures {
  readonly full: {
    readonly machine: string
    readonly node: string
    readonly cases: Readonly<Record<string, ClientCase>>
  }
}

const clientRows: readonly (readonly [id: string, title: string])[] = [
  ['send-128-1', 'send 128 bytes, one after the other'],
  ['send-128-16', 'the same, 16 in flight'],
  ['send-128-256', 'the same, 256 in flight'],
  ['send-1024-256', 'send 1 KB, 256 in flight'],
  ['consume-128', 'consume 128 bytes'],
]

/** The client's table as Markdown, followed by the machine. */
export function clientFiguresTable({ full: { machine, node, cases } }: ClientFigures): string {
  const lines = clientRows.flatMap(([id, title]) => {
    const one = cases[id]
    if (one === undefined) return []
    const { perSecond, cpuUs, speedToJava, cpuToJava } = one
    const java = `${cell(perSecond / speedToJava, '/s')}, ${cell(cpuUs / cpuToJava, ' us')}`
    return [`| ${title} | ${cell(perSecond, '/s')}, ${cell(cpuUs, ' us')} | ${java} |`]
  })
  const head = ["| messages a second, the client's CPU for each | Gantry | Apache's for Java |", '|---|---:|---:|']
  const made = [
    `Measured by \`npm run bench -- client\` on ${machine} with Node ${node}, all in one run, with one broker of Apache 5.5.0`,
    'on the same machine. The figures of Java are the better of threads and callbacks.',
  ]
  return [...head, ...lines, '', ...made].join('\n')
}

interface BrokerCase {
  readonly perSecond: number
  readonly cpuUs: number
  readonly p99Us: number
  readonly speedToApache: number
  readonly cpuToApache: number
  readonly p99ToApache: number
}

/** The part of benchmarks/broker/baseline.json that the table needs. */
export interface BrokerFigures {
  readonly full?: {
    readonly machine: string
    readonly node: string
    readonly cases: Readonly<Record<string, BrokerCase>>
    readonly starts?: Readonly<Record<string, Start>>
    readonly finalRssMb?: Readonly<Record<string, number>>
  }
}

const brokerRows: readonly (readonly [id: string, title: string])[] = [
  ['send-128-1x1', 'send 128 bytes, 1 connection'],
  ['send-128-16x1', 'the same, 16 connections'],
  ['send-128-16x16', 'the same, 16 in flight on each'],
  ['send-1024-64x1', 'send 1 KB, 64 connections'],
  ['send-1024-16x16', 'send 1 KB, 16 connections, 16 in flight on each'],
  ['send-pull-128-16x8', 'send 128 bytes, consumers behind'],
  ['pull-128-8x1', 'pull 128 bytes, 32 a batch'],
  ['send-128-16x1-sync', 'SYNC_FLUSH, 16 connections'],
  ['send-128-16x16-sync', 'SYNC_FLUSH, 16 connections, 16 in flight on each'],
]

/** The broker's table as Markdown, followed by the machine. Empty without a full run. */
export function brokerFiguresTable({ full }: BrokerFigures): string {
  if (full === undefined) return ''
  const { machine, node, cases, starts = {}, finalRssMb = {} } = full
  const loads = brokerRows.flatMap(([id, title]) => {
    const one = cases[id]
    if (one === undefined) return []
    const { perSecond, cpuUs, p99Us } = one
    const theirs = [perSecond / one.speedToApache, cpuUs / one.cpuToApache, p99Us / one.p99ToApache] as const
    return [`| ${title} | ${brokerCell(perSecond, cpuUs, p99Us)} | ${brokerCell(...theirs)} |`]
  })
  const rest = [
    leastRow('name server and broker: start to first message', of(starts, 'startMs'), ' ms'),
    leastRow('the same: memory, idle', of(starts, 'rssMb'), ' MB'),
    leastRow('memory of the broker after all loads', finalRssMb, ' MB'),
  ].flat()
  const head = ['| messages a second, CPU for each, p99 | Gantry | Apache |', '|---|---:|---:|']
  const made = [
    `Measured by \`npm run bench -- broker\` on ${machine} with Node ${node}, all brokers in one run. Each figure of Apache is that`,
    'of the better of 4.9.7 and 5.5.0.',
  ]
  return [...head, ...loads, ...rest, '', ...made].join('\n')
}

function brokerCell(perSecond: number, cpuUs: number, p99Us: number): string {
  return `${cell(perSecond, '/s')}, ${cell(cpuUs, ' us')}, ${cell(p99Us / 1000, ' ms')}`
}

function of(starts: Readonly<Record<string, Start>>, figure: keyof Start): Record<string, number> {
  return Object.fromEntries(Object.entries(starts).map(([name, start]) => [name, start[figure]]))
}

function leastRow(title: string, figures: Readonly<Record<string, number>>, unit: string): string[] {
  const { ours, ...others } = figures
  if (ours === undefined) return []
  const theirs = Object.values(others)
  return [`| ${title} | ${cell(ours, unit)} | ${theirs.length === 0 ? '' : cell(Math.min(...theirs), unit)} |`]
}

interface Document {
  readonly path: string
  readonly now: string
  readonly wanted: string
}

/** The documents with figures: their text, and what it should be. */
export function readmes(): readonly Document[] {
  return [
    ...['../README.md', '../README.zh-CN.md'].map(file =>
      document(file, '../benchmarks/name-server/baseline.json', stored => figuresTable(stored as Figures)),
    ),
    document('../packages/client/README.md', '../benchmarks/client/baseline.json', stored =>
      clientFiguresTable(stored as ClientFigures),
    ),
    document('../docs/broker.md', '../benchmarks/broker/baseline.json', stored =>
      brokerFiguresTable(stored as BrokerFigures),
    ),
  ]
}

function document(file: string, baseline: string, tableOf: (stored: unknown) => string): Document {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const stored = fileURLToPath(new URL(baseline, import.meta.url))
  const table = existsSync(stored) ? tableOf(JSON.parse(readFileSync(stored, 'utf8'))) : ''
  const now = readFileSync(path, 'utf8')
  return { path, now, wanted: withFigures(now, table) }
}

if (import.meta.main) for (const { path, wanted } of readmes()) writeFileSync(path, wanted)

// Writes the README's figures from what `npm run bench -- --save` has stored.
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

/** What is read of benchmarks/baseline.json. */
export interface Figures {
  readonly machine: string
  readonly node: string
  readonly cases: Readonly<Record<string, Case>>
  readonly starts?: { readonly ours?: Start; readonly apache?: Start }
}

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

/** The table as Markdown, with the machine below it. */
export function figuresTable(figures: Figures): string {
  const loads = rows.flatMap(([id, title]) => {
    const one = figures.cases[id]
    return one === undefined ? [] : [loadRow(title, one)]
  })
  const head = ['| done in a second, CPU for each | Gantry | Apache 5.5.0 |', '|---|---:|---:|']
  const made = `Measured by \`npm run bench\` on ${figures.machine} with Node ${figures.node}, both servers in one run.`
  return [...head, ...startRows(figures.starts ?? {}), ...loads, '', made].join('\n')
}

/** The document with the figures between its two marks. */
export function withFigures(markdown: string, table: string): string {
  return markdown.replace(/(<!-- figures -->\n)[^]*?(<!-- \/figures -->)/, (_, open: string, close: string) =>
    table === '' ? open + close : `${open}${table}\n${close}`,
  )
}

/** The README as it is and as it should be. */
export function readme(): { readonly path: string; readonly now: string; readonly wanted: string } {
  const path = fileURLToPath(new URL('../README.md', import.meta.url))
  const stored = fileURLToPath(new URL('../benchmarks/baseline.json', import.meta.url))
  const table = existsSync(stored) ? figuresTable(JSON.parse(readFileSync(stored, 'utf8')) as Figures) : ''
  const now = readFileSync(path, 'utf8')
  return { path, now, wanted: withFigures(now, table) }
}

if (import.meta.main) {
  const { path, wanted } = readme()
  writeFileSync(path, wanted)
}

import { basename } from 'node:path'
import { inspect } from 'node:util'

/** The data of `test:pass` and `test:fail`; see "Event" in the documentation of node:test. */
interface Finished {
  readonly name: string
  readonly nesting: number
  readonly file?: string
  readonly skip?: string | boolean
  readonly details: {
    readonly duration_ms: number
    readonly type?: string
    readonly error?: Error & { failureType?: string }
  }
}

interface Event {
  readonly type: string
  readonly data: unknown
}

/** A test or suite with its children. */
interface Node {
  readonly test: Finished
  readonly passed: boolean
  readonly children: readonly Node[]
}

interface Row {
  readonly subject: string
  readonly area: string
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly seconds: number
  readonly note: string
}

const HEAD = ['subject', 'area', 'passed', 'failed', 'skipped', 'seconds', 'note']

/**
 * Builds a tree of the results. A suite is reported after its cases, and the runner reports file by file however many it runs
 * at a time, so one stack of open levels is enough.
 */
class Tree {
  readonly tops: Node[] = []
  readonly #open: Node[][] = []

  add(test: Finished, passed: boolean): Node {
    const { nesting } = test
    const node = { test, passed, children: this.#open[nesting + 1] ?? [] }
    this.#open.length = nesting + 1
    if (nesting === 0) this.tops.push(node)
    else (this.#open[nesting] ??= []).push(node)
    return node
  }
}

/** The cases in a suite. A suite that is skipped, or whose `before` failed, has no cases and counts as one. */
function leavesOf(node: Node): readonly Node[] {
  return node.children.length > 0 ? node.children.flatMap(leavesOf) : [node]
}

const isSkipped = (node: Node) => node.test.skip !== undefined && node.test.skip !== false

function rowOf(subject: string, area: string, node: Node): Row {
  const leaves = leavesOf(node)
  const failed = leaves.filter(leaf => !leaf.passed).length
  const skipped = leaves.filter(leaf => leaf.passed && isSkipped(leaf)).length
  const reasons = leaves.filter(isSkipped).map(leaf => (typeof leaf.test.skip === 'string' ? leaf.test.skip : ''))
  return {
    subject,
    area,
    passed: leaves.length - failed - skipped,
    // A suite can fail although its cases passed: its `after` failed.
    failed: failed === 0 && !node.passed ? 1 : failed,
    skipped,
    seconds: node.test.details.duration_ms / 1000,
    note: [...new Set(reasons)].filter(Boolean).join('; '),
  }
}

function rowsOf(top: Node): Row[] {
  const subject = top.test.name === top.test.file ? basename(top.test.name) : top.test.name
  const areas = top.children.filter(child => child.test.details.type === 'suite')
  if (areas.length === 0) return [rowOf(subject, '-', top)]
  const rows = areas.map(area => rowOf(subject, area.test.name, area))
  const prepared = top.passed || rows.some(row => row.failed > 0)
  return prepared ? rows : [...rows, { ...rowOf(subject, 'preparation', top), failed: 1, passed: 0, skipped: 0 }]
}

function totalOf(rows: readonly Row[]): Row {
  const sum = (pick: (row: Row) => number) => rows.reduce((total, row) => total + pick(row), 0)
  return {
    subject: 'total',
    area: '',
    passed: sum(row => row.passed),
    failed: sum(row => row.failed),
    skipped: sum(row => row.skipped),
    seconds: sum(row => row.seconds),
    note: '',
  }
}

/** Formats the table of what ran. */
export function tableOf(rows: readonly Row[]): string {
  const cells = [...rows, totalOf(rows)].map(row => [
    row.subject,
    row.area,
    String(row.passed),
    String(row.failed),
    String(row.skipped),
    row.seconds.toFixed(1),
    row.note,
  ])
  const widths = HEAD.map((name, i) => Math.max(name.length, ...cells.map(line => line[i]?.length ?? 0)))
  const isNumber = (i: number) => i >= 2 && i <= 5
  const print = (line: readonly string[]) =>
    line
      .map((cell, i) => (isNumber(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join('  ')
      .trimEnd()
  return [HEAD, widths.map(width => '-'.repeat(width)), ...cells].map(print).join('\n')
}

function failureText(test: Finished): string {
  const error = test.details.error
  return `\nFAILED ${test.name} (${basename(test.file ?? '')})\n${inspect(error?.cause ?? error, { depth: 4 })}\n`
}

/** Whether a test failed by itself, not only because one of its cases did. */
function isOwnFailure(test: Finished): boolean {
  return test.details.error?.failureType !== 'subtestsFailed'
}

/** A reporter for `node --test`: prints failures as they happen, one line for each area, and a table at the end. */
export default async function* tableReporter(source: AsyncIterable<Event>): AsyncGenerator<string> {
  const tree = new Tree()
  for await (const { type, data } of source) {
    if (type === 'test:stderr') yield (data as { readonly message: string }).message
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const test = data as Finished
    const node = tree.add(test, type === 'test:pass')
    if (!node.passed && isOwnFailure(test)) yield failureText(test)
    if (test.nesting === 1 && test.details.type === 'suite') yield `${node.passed ? 'ok    ' : 'FAILED'} ${test.name}\n`
    if (test.nesting === 0) yield `${node.passed ? 'ok    ' : 'FAILED'} ${test.name}\n\n`
  }
  yield `\n${tableOf(tree.tops.flatMap(rowsOf))}\n`
}

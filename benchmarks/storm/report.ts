import { failedVerdict, megabytes, percent, section, short, time, type Verdict, whole } from '../harness/report.ts'
import { succeeded } from '../harness/rounds.ts'
import { type SubjectName, subjectTitles } from '../name-server/subjects.ts'
import type { StormRun } from './run.ts'
import { type Phase, phases } from './size.ts'
import type { PhaseResult, StormResult } from './storm.ts'

const P99_GOAL_US = 5_000

function titleOf({ brokers, topics, registerWithinMs, clients }: StormRun['size']): string {
  const within = `within ${registerWithinMs / 1000} s`
  return `storm: ${brokers} brokers x ${whole.format(topics)} topics register ${within}, ${clients} clients ask`
}

function phaseRow(phase: string, title: string, result: PhaseResult): string[] {
  const { ms, answers, p50Us, p99Us, maxUs, failed, firstFailure, serverCpuMs, serverWaitMs, rssMb } = result
  return [
    phase,
    title,
    short((answers * 1000) / ms),
    time(p50Us),
    time(p99Us),
    time(maxUs),
    firstFailure === undefined ? String(failed) : `${failed} (${firstFailure})`,
    percent(serverCpuMs / ms),
    percent(serverWaitMs / ms),
    megabytes(rssMb),
  ]
}

interface Finished {
  readonly title: string
  readonly result: StormResult
}

function finished({ results }: StormRun): Finished[] {
  return Object.entries(results).flatMap(([name, result]) =>
    'error' in result ? [] : [{ title: subjectTitles[name as SubjectName], result }],
  )
}

function remark({ title, result: { registered, goneMs } }: Finished): string {
  const { ms, p50Us, p99Us, maxUs } = registered
  const registrations = `p50 ${time(p50Us)}, p99 ${time(p99Us)}, max ${time(maxUs)}`
  return `${title}: all registered after ${short(ms / 1000)} s (a registration: ${registrations}); gone after ${time(goneMs * 1000)}.`
}

/** The storm's part of the report, as Markdown. */
export function stormMarkdown(run: StormRun): string {
  const head = [
    titleOf(run.size),
    'server',
    'requests/s',
    'p50',
    'p99',
    'max',
    'failed',
    'CPU',
    'waited for CPU',
    'RSS',
  ]
  const servers = finished(run)
  const rows = phases.flatMap(phase =>
    servers.map(({ title, result }, i) => phaseRow(i === 0 ? phase : '', title, result.phases[phase])),
  )
  const failures = Object.entries(run.results).flatMap(([name, result]) =>
    'error' in result ? [`${subjectTitles[name as SubjectName]}: ${result.error}`] : [],
  )
  return [section(head, rows), ...failures, ...servers.map(remark)].filter(part => part !== undefined).join('\n\n')
}

/** Judges the goals: short answers in every phase, shorter than Apache's in the same run, and none that fails. */
export function judgeStorm({ results }: StormRun): Verdict[] {
  const [ours, apache] = [succeeded(results.ours), succeeded(results.apache)]
  if (!results.ours) return []
  if (!ours) return [failedVerdict('storm')]
  const failed = phases.reduce((sum, phase) => sum + ours.phases[phase].failed, 0)
  return [
    ...phases.flatMap(phase => judgePhase(phase, ours.phases[phase], apache?.phases[phase])),
    { what: 'storm: failed queries', wanted: '0', reached: String(failed), met: failed === 0 },
  ]
}

function judgePhase(phase: Phase, { p99Us, answers }: PhaseResult, apache: PhaseResult | undefined): Verdict[] {
  const what = `storm, ${phase}: p99`
  // Without answers the p99 is 0.
  const reached = answers === 0 ? 'no answer' : time(p99Us)
  const met = answers > 0 && p99Us <= P99_GOAL_US
  const short: Verdict = { what, wanted: `<= ${time(P99_GOAL_US)}`, reached, met }
  if (!apache) return [short]
  const ratio = p99Us / apache.p99Us
  const isLess = answers > 0 && ratio < 1
  return [short, { what: `${what} to Apache's`, wanted: '< 1x', reached: `${ratio.toFixed(2)}x`, met: isLess }]
}

// What the drivers on Node share; measure.h is the same in C.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Figures } from './drive.ts'
import { TimeHistogram } from './histogram.ts'
import { cpuMsOf } from './process-stats.ts'

/** What a driver has counted since the last `clear`. */
export const seen = { answers: 0, messages: 0, bytes: 0, refused: 0, missed: 0, times: new TimeHistogram() }

function clear(): void {
  seen.answers = seen.messages = seen.bytes = seen.refused = seen.missed = 0
  seen.times.clear()
}

export function fail(error: Error): never {
  process.stderr.write(`driver: ${error.message}\n`)
  process.exit(1)
}

const stop = new AbortController()
process.on('SIGTERM', () => stop.abort())

/** Whether the load was ended early. */
export function isStopped(): boolean {
  return stop.signal.aborted
}

/** Waits, at most until the load is ended early. */
export async function waitFor(ms: number): Promise<void> {
  if (ms > 0) await sleep(ms, undefined, { signal: stop.signal }).catch(() => {})
}

export interface DriverArguments {
  readonly planPath: string
  readonly target: { readonly host: string; readonly port: number }
  readonly connections: number
  readonly depth: number
  readonly warmMs: number
  readonly runMs: number
  readonly serverPid: number
  /** 0: as fast as answers arrive. */
  readonly perSecond: number
}

export function driverArguments(): DriverArguments {
  const [planPath = '', host = '', ...numbers] = process.argv.slice(2)
  if (numbers.length !== 6 && numbers.length !== 7)
    fail(new Error('expects PLAN HOST PORT CONNECTIONS IN_FLIGHT WARM_MS RUN_MS SERVER_PID [PER_SECOND]'))
  const [port = 0, connections = 0, depth = 0, warmMs = 0, runMs = 0, serverPid = 0, perSecond = 0] =
    numbers.map(Number)
  return { planPath, target: { host, port }, connections, depth, warmMs, runMs, serverPid, perSecond }
}

/** Runs a load for the time of the warm-up, measures it for the time of the run, prints the figures and ends the process. */
export async function measure(
  { warmMs, runMs, serverPid }: DriverArguments,
  runLoad: (ms: number) => Promise<void>,
): Promise<void> {
  await runLoad(warmMs)
  const refusedBefore = seen.refused
  clear()
  const [begin, ownBefore, serverBefore] = [performance.now(), process.cpuUsage(), cpuMsOf(serverPid)]
  await runLoad(runMs)
  const own = process.cpuUsage(ownBefore)
  const { times, bytes: answerBytes, ...counts } = seen
  const figures: Figures = {
    driver: 'node',
    ms: performance.now() - begin,
    ...counts,
    answerBytes,
    refusedBefore,
    p50Us: times.quantile(0.5),
    p99Us: times.quantile(0.99),
    p999Us: times.quantile(0.999),
    maxUs: times.max,
    driverCpuMs: (own.user + own.system) / 1000,
    serverCpuMs: cpuMsOf(serverPid) - serverBefore,
  }
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0))
}

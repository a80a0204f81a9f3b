/** A prepared function to measure. */
export interface MicroCase {
  readonly name: string
  readonly work: () => unknown
  /** How many items a call processes. Times are for one item. */
  readonly per: number
}

/** Nanoseconds for one item. */
export interface MicroResult {
  readonly name: string
  readonly p50Ns: number
  readonly p99Ns: number
  readonly minNs: number
}

const WARM_MS = 300
const RUN_MS = 700
const SAMPLE_NS = 50_000

// The last result is kept, so that the compiler cannot remove the work.
const lastResult: { value: unknown } = { value: undefined }

function timeOf(calls: number, work: () => unknown): number {
  const begin = process.hrtime.bigint()
  for (let i = 0; i < calls; i++) lastResult.value = work()
  return Number(process.hrtime.bigint() - begin)
}

/** The number of calls that take long enough for the clock. */
function callsPerSample(work: () => unknown): number {
  let calls = 1
  while (timeOf(calls, work) < SAMPLE_NS) calls *= 2
  return calls
}

/** Calls the function for about a second. Returns quantiles of samples of at least 50 microseconds. */
export function measure({ name, work, per }: MicroCase): MicroResult {
  const warmEnd = performance.now() + WARM_MS
  while (performance.now() < warmEnd) timeOf(1, work)
  const calls = callsPerSample(work)
  const samples: number[] = []
  const end = performance.now() + RUN_MS
  while (performance.now() < end) samples.push(timeOf(calls, work) / calls / per)
  samples.sort((a, b) => a - b)
  const at = (part: number) => samples[Math.min(samples.length - 1, Math.floor(samples.length * part))] as number
  return { name, p50Ns: at(0.5), p99Ns: at(0.99), minNs: at(0) }
}

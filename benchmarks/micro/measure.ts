/** One function to measure: prepared beforehand, called again and again. */
export interface MicroCase {
  readonly name: string
  readonly work: () => unknown
  /** How many things one call does; times are given for one of them. */
  readonly per: number
}

/** Nanoseconds for one thing. */
export interface MicroResult {
  readonly name: string
  readonly p50Ns: number
  readonly p99Ns: number
  readonly minNs: number
}

const WARM_MS = 300
const RUN_MS = 700
const SAMPLE_NS = 50_000

// What was made last is kept where anybody could read it, so that the compiler cannot leave the work out.
export const lastMade: { value: unknown } = { value: undefined }

function timeOf(calls: number, work: () => unknown): number {
  const begin = process.hrtime.bigint()
  for (let i = 0; i < calls; i++) lastMade.value = work()
  return Number(process.hrtime.bigint() - begin)
}

/** Grows the number of calls until one sample is long enough for the clock. */
function callsPerSample(work: () => unknown): number {
  let calls = 1
  while (timeOf(calls, work) < SAMPLE_NS) calls *= 2
  return calls
}

/** Calls the work for about a second and gives quantiles over samples of at least 50 microseconds. */
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

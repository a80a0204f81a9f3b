import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks a second in /proc: 100 on all usual Linux systems. */
const TICKS_PER_SECOND = 100

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

/** CPU time of a process with all its threads, milliseconds. 0 on systems without /proc. */
export function cpuMsOf(pid: number): number {
  const stat = read(`/proc/${pid}/stat`)
  if (stat === undefined) return 0
  // The name in parentheses may contain blanks. After it, fields 11 and 12 are user and kernel time.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND
}

/** How long the threads of a process were ready to run and waited for a processor, milliseconds. 0 on systems without /proc. */
export function waitMsOf(pid: number): number {
  return threadsOf(pid).reduce((sum, thread) => {
    const ns = Number(read(`/proc/${pid}/task/${thread}/schedstat`)?.split(' ')[1] ?? 0)
    return sum + ns / 1e6
  }, 0)
}

function threadsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`)
  } catch {
    return []
  }
}

function memoryMb(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const status = read(`/proc/${pid}/status`) ?? ''
  return Number(new RegExp(`${field}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024
}

/** Resident memory of a process in MB (2^20 bytes). 0 on systems without /proc. */
export function rssMbOf(pid: number): number {
  return memoryMb(pid, 'VmRSS')
}

/** Peak resident memory of a process, MB. */
export function peakRssMbOf(pid: number): number {
  return memoryMb(pid, 'VmHWM')
}

/** CPU time of all cores since the machine started, in ticks: the busy part and the total. */
export interface MachineTime {
  readonly busy: number
  readonly total: number
}

/** Undefined on systems without /proc. */
export function machineTime(): MachineTime | undefined {
  const line = read('/proc/stat')?.split('\n', 1)[0]
  if (line === undefined) return undefined
  const ticks = line.split(/\s+/).slice(1, 9).map(Number)
  const total = ticks.reduce((sum, each) => sum + each, 0)
  // Fields 4 and 5 are idle time and idle time with an open disk request.
  return { busy: total - (ticks[3] as number) - (ticks[4] as number), total }
}

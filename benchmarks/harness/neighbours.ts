import { setTimeout as sleep } from 'node:timers/promises'
import { machineTime } from './process-stats.ts'

/** Measures how busy other programs keep the machine while the benchmark is idle. */
export class Neighbours {
  #busy = 0
  #total = 0

  /** Waits, and measures during the wait. */
  async rest(ms: number): Promise<void> {
    const before = machineTime()
    await sleep(ms)
    const after = machineTime()
    if (!before || !after) return
    this.#busy += after.busy - before.busy
    this.#total += after.total - before.total
  }

  /** The part of all cores that other programs used, 0 to 1. */
  get share(): number {
    return this.#total === 0 ? 0 : this.#busy / this.#total
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import { machineTime } from './process-stats.ts'

/** How busy the machine is while we do nothing: other programs that share its cores with the servers. */
export class Neighbours {
  #busy = 0
  #total = 0

  /** Waits, and looks meanwhile. */
  async rest(ms: number): Promise<void> {
    const before = machineTime()
    await sleep(ms)
    const after = machineTime()
    if (!before || !after) return
    this.#busy += after.busy - before.busy
    this.#total += after.total - before.total
  }

  /** Part of all cores, 0 to 1. */
  get share(): number {
    return this.#total === 0 ? 0 : this.#busy / this.#total
  }
}

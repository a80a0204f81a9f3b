import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Plans of load drivers on disk. */
export class PlanFolder<P> {
  readonly #folder: string
  readonly #write: (plan: P, path: string) => Promise<void>
  #plans = 0

  private constructor(folder: string, write: (plan: P, path: string) => Promise<void>) {
    this.#folder = folder
    this.#write = write
  }

  /** @param write Writes a plan in the form that its driver reads. */
  static async create<P>(write: (plan: P, path: string) => Promise<void>): Promise<PlanFolder<P>> {
    return new PlanFolder(await mkdtemp(join(tmpdir(), 'gantry-plans-')), write)
  }

  /** Writes a plan and returns its path. */
  async add(plan: P): Promise<string> {
    const path = join(this.#folder, `plan-${this.#plans++}`)
    await this.#write(plan, path)
    return path
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
  }
}

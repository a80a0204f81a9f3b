// Mostly a second is enough, but a Java consumer may miss a rebalance, and a busy machine is slow.
const ARRIVAL_MS = 75_000
const SHOWN = 20

/** The messages that have arrived, with waits for more. */
export class Arrivals<Item extends { readonly text: string }> {
  readonly all: Item[] = []
  readonly #whose: string
  #waiters = new Set<() => void>()

  /** @param whose names the receiver in error messages */
  constructor(whose: string) {
    this.#whose = whose
  }

  add(item: Item): void {
    this.all.push(item)
    for (const check of this.#waiters) check()
  }

  /** The bodies, in order of arrival. */
  get texts(): string[] {
    return this.all.map(item => item.text)
  }

  /** The first message with this body. */
  find(text: string): Item | undefined {
    return this.all.find(item => item.text === text)
  }

  /** Waits until the messages satisfy a condition. @throws with the messages if the time passes first */
  async until(holds: (all: readonly Item[]) => boolean, ms = ARRIVAL_MS): Promise<readonly Item[]> {
    if (holds(this.all)) return this.all
    await new Promise<void>((resolve, reject) => {
      const done = (end: () => void) => {
        clearTimeout(timer)
        this.#waiters.delete(check)
        end()
      }
      const check = () => {
        if (holds(this.all)) done(resolve)
      }
      const timer = setTimeout(() => done(() => reject(new Error(`${this.#summary()} in ${ms} ms`))), ms)
      this.#waiters.add(check)
    })
    return this.all
  }

  #summary(): string {
    const more = this.all.length > SHOWN ? ', ...' : ''
    return `${this.#whose} got only ${this.all.length}: ${this.texts.slice(0, SHOWN).join(', ')}${more}`
  }

  /** Waits for this many messages, duplicates included. */
  atLeast(count: number, ms?: number): Promise<readonly Item[]> {
    return this.until(all => all.length >= count, ms)
  }

  /** Waits until a message with each of these bodies has arrived. */
  containing(texts: readonly string[], ms?: number): Promise<readonly Item[]> {
    return this.until(all => texts.every(text => all.some(item => item.text === text)), ms)
  }
}

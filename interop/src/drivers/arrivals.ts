// A consumer of Java finds a new topic with its next round, 20 s later, or with its next routes, 30 s later.
const ARRIVAL_MS = 75_000
const SHOWN = 20

/** What has come so far, and waits for more. */
export class Arrivals<Item extends { readonly text: string }> {
  readonly all: Item[] = []
  readonly #whose: string
  #waiters = new Set<() => void>()

  /** @param whose for complaints */
  constructor(whose: string) {
    this.#whose = whose
  }

  add(item: Item): void {
    this.all.push(item)
    for (const look of this.#waiters) look()
  }

  /** The bodies, in order of arrival. */
  get texts(): string[] {
    return this.all.map(item => item.text)
  }

  /** The first with this body. */
  find(text: string): Item | undefined {
    return this.all.find(item => item.text === text)
  }

  /** Waits until what came satisfies. @throws when the time is up, with what came. */
  async until(isSo: (all: readonly Item[]) => boolean, ms = ARRIVAL_MS): Promise<readonly Item[]> {
    if (isSo(this.all)) return this.all
    await new Promise<void>((resolve, reject) => {
      const done = (end: () => void) => {
        clearTimeout(timer)
        this.#waiters.delete(look)
        end()
      }
      const look = () => {
        if (isSo(this.all)) done(resolve)
      }
      const timer = setTimeout(() => done(() => reject(new Error(`${this.#complaint()} in ${ms} ms`))), ms)
      this.#waiters.add(look)
    })
    return this.all
  }

  #complaint(): string {
    const more = this.all.length > SHOWN ? ', ...' : ''
    return `${this.#whose} got only ${this.all.length}: ${this.texts.slice(0, SHOWN).join(', ')}${more}`
  }

  /** Waits for so many, doubles included. */
  atLeast(count: number, ms?: number): Promise<readonly Item[]> {
    return this.until(all => all.length >= count, ms)
  }

  /** Waits until each of these bodies has come. */
  containing(texts: readonly string[], ms?: number): Promise<readonly Item[]> {
    return this.until(all => texts.every(text => all.some(item => item.text === text)), ms)
  }
}

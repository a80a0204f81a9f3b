import { loadTable, type TableFiles } from '@gantrymq/daemon'
import type { BodyCodec, Logger } from '@gantrymq/remoting'

export interface ConfigFileOptions<T> {
  readonly path: string
  /** Where the file is: on the disk of the store. */
  readonly files: TableFiles
  /** What the table is called in the log: `topics`. */
  readonly what: string
  readonly codec: BodyCodec<T>
  readonly entriesOf: (table: T) => number
  /** The table as it is now. */
  readonly content: () => T
  readonly log: Logger
}

/**
 * A table of the broker in its file, in Apache's JSON. Owns the file: one write at a time, each with the newest state, and the
 * previous state in `<file>.bak`. Source: Apache's ConfigManager.
 */
export class ConfigFile<T> {
  readonly #options: ConfigFileOptions<T>
  #writing: Promise<void> | undefined
  /** The write that begins when `#writing` has ended. */
  #next: Promise<void> | undefined
  #isBehind = false
  #wasDamaged = false

  constructor(options: ConfigFileOptions<T>) {
    this.#options = options
  }

  /**
   * The table in the file; undefined if there is no file, or it is empty. A damaged file is put aside and its copy is loaded.
   * @throws Error if the file can neither be read nor put aside
   */
  async load(now: number): Promise<T | undefined> {
    const { path, files, what, codec, entriesOf, log } = this.#options
    return loadTable<T | undefined>(path, text => (text.trim() === '' ? undefined : codec.decode(Buffer.from(text))), {
      what,
      entriesOf: table => (table === undefined ? 0 : entriesOf(table)),
      log,
      onDamage: () => (this.#wasDamaged = true),
      now,
      files,
    })
  }

  /** Whether the file was damaged or empty when it was loaded, so that entries may be missing. */
  get wasDamaged(): boolean {
    return this.#wasDamaged
  }

  /** Whether the last write has failed, so that changes are in memory only. */
  get isBehind(): boolean {
    return this.#isBehind
  }

  /**
   * Stores the table, and resolves when everything that has changed before this call survives a power failure. Calls during a
   * write share the next one.
   * @throws the error of the file system; the file has the state before, and the next call tries again
   */
  save(): Promise<void> {
    return (this.#next ??= this.#writeAfter(this.#writing))
  }

  /** Waits for the writes that have begun, and tries again if the last one failed. Never rejects. */
  async close(): Promise<void> {
    await this.#next?.catch(() => {})
    await this.#writing?.catch(() => {})
    if (this.#isBehind) await this.save().catch(() => {})
  }

  async #writeAfter(before: Promise<void> | undefined): Promise<void> {
    // Without a write before, this lets the other changes of the same turn join.
    await before?.catch(() => {})
    this.#writing = this.#next
    this.#next = undefined
    const { path, files, what, codec, content, log } = this.#options
    try {
      await files.replace(path, codec.encode(content()))
      this.#isBehind = false
    } catch (error) {
      this.#isBehind = true
      log.error({ err: error, path }, `the ${what} could not be stored`)
      throw error
    }
  }
}

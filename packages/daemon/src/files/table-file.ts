import { type Logger, silent } from '@gantrymq/remoting'
import { machineFiles, moveAside, type TableFiles } from './replace-file.ts'

export interface TableFileOptions<T> {
  /** What the table is called in messages and in the log: `KV config`. */
  readonly what: string
  /** How many entries a table has. A copy without entries is not recovered. */
  readonly entriesOf: (table: T) => number
  readonly log?: Logger
  /** Called if the file was damaged or empty, so that the table may lack some of its entries. */
  readonly onDamage?: (() => void) | undefined
  /** Milliseconds since the epoch, for the names of files put aside. */
  readonly now: number
  /** Where the file is. Default: the machine's file system. */
  readonly files?: TableFiles
}

/**
 * Reads a table from its file at the start of a server.
 *
 * A file that cannot be parsed is put aside as `<file>.corrupt-<time>`, and the last good state replaces it: Apache 5.x
 * overwrites its file in place and leaves the previous state in `<file>.bak`; Apache 4.9 deletes its file before it
 * renames `<file>.tmp`. If neither exists, the table is empty. The log has all of this.
 * Source: Apache's ConfigManager and MixAll.string2File.
 * @param parse Makes the table from the file's text; an empty text is an empty table. It throws an Error that says what
 *   is wrong with the text.
 * @throws Error if the file exists but cannot be read, or cannot be parsed and not be put aside. The caller must not write
 *   to it then.
 */
export function loadTable<T>(path: string, parse: (text: string) => T, options: TableFileOptions<T>): Promise<T> {
  return new TableFile(path, parse, options).load()
}

/** Loads one file. */
class TableFile<T> {
  readonly #path: string
  readonly #parse: (text: string) => T
  readonly #what: string
  readonly #entriesOf: (table: T) => number
  readonly #log: Logger
  readonly #onDamage: () => void
  readonly #now: number
  readonly #files: TableFiles

  constructor(path: string, parse: (text: string) => T, options: TableFileOptions<T>) {
    const { what, entriesOf, log, onDamage, now, files = machineFiles } = options
    this.#path = path
    this.#parse = parse
    this.#what = what
    this.#entriesOf = entriesOf
    this.#log = log ?? silent
    this.#onDamage = onDamage ?? (() => {})
    this.#now = now
    this.#files = files
  }

  async load(): Promise<T> {
    await this.#files.removeLeftovers(this.#path)
    const text = await this.#read(this.#path)
    if (text === undefined) return this.#recoverMissing()
    if (text.trim() === '') return this.#recoverEmpty()
    try {
      const table = this.#parse(text)
      this.#log.info({ path: this.#path, entries: this.#entriesOf(table) }, `load ${this.#what} table OK`)
      return table
    } catch (error) {
      return this.#recoverCorrupt((error as Error).message)
    }
  }

  // Apache 4.9 crashed between its delete and its rename. The copy is used once: an operator who deletes the file wants
  // an empty table.
  async #recoverMissing(): Promise<T> {
    const recovered = await this.#recover('.tmp', 'is missing')
    if (recovered !== undefined) await this.#files.remove(`${this.#path}.tmp`)
    return recovered ?? this.#parse('')
  }

  /** A power failure leaves such a file if it was written by another program, which does not sync it. */
  async #recoverEmpty(): Promise<T> {
    this.#onDamage()
    const recovered = await this.#recover('.bak', 'is empty')
    if (recovered !== undefined) return recovered
    this.#log.warn({ path: this.#path }, `the ${this.#what} file is empty, and has no copy: the table is empty`)
    return this.#parse('')
  }

  async #recoverCorrupt(reason: string): Promise<T> {
    this.#onDamage()
    const path = this.#path
    const aside = await this.#putAside(reason)
    this.#log.error({ path, aside, reason }, `the ${this.#what} file cannot be parsed and was put aside`)
    const recovered = await this.#recover('.bak', 'was put aside')
    if (recovered !== undefined) return recovered
    this.#log.error({ path, aside }, `the ${this.#what} table is empty; repair the file that was put aside`)
    return this.#parse('')
  }

  async #read(path: string): Promise<string | undefined> {
    try {
      const bytes = await this.#files.read(path)
      return bytes === undefined ? undefined : new TextDecoder().decode(bytes)
    } catch (error) {
      throw new Error(`the ${this.#what} file ${path} cannot be read: ${(error as Error).message}`, { cause: error })
    }
  }

  async #putAside(reason: string): Promise<string> {
    try {
      return await moveAside(this.#path, 'corrupt', this.#now, this.#files)
    } catch (error) {
      const why = (error as Error).message
      const message = `the ${this.#what} file ${this.#path} can neither be parsed (${reason}) nor put aside: ${why}`
      throw new Error(message, { cause: error })
    }
  }

  /**
   * Loads the table from a copy beside the file, and replaces the file by it; undefined if there is no copy or it is
   * empty.
   */
  async #recover(suffix: string, because: string): Promise<T | undefined> {
    const from = this.#path + suffix
    const copy = await this.#readCopy(from)
    if (copy === undefined || copy.entries === 0) return undefined
    const fields = { path: this.#path, from, because, entries: copy.entries }
    this.#log.warn(fields, `the ${this.#what} table was loaded from a copy`)
    await this.#files.replace(this.#path, copy.text)
    return copy.table
  }

  async #readCopy(path: string): Promise<{ text: string; table: T; entries: number } | undefined> {
    try {
      const text = await this.#read(path)
      if (text === undefined) return undefined
      const table = this.#parse(text)
      return { text, table, entries: this.#entriesOf(table) }
    } catch (error) {
      const reason = (error as Error).message
      this.#log.warn({ path, reason }, `this copy of the ${this.#what} table cannot be used`)
      return undefined
    }
  }
}

import { stat } from 'node:fs/promises'
import { type Clock, finish, type Logger, ResponseError, silent, SYSTEM_ERROR, systemClock } from '@gantrymq/remoting'
import { keepAside, replaceFile } from '@gantrymq/daemon'
import { KvConfig, type KvChange, KvDraft, type KvLimits } from './kv-config.ts'
import { loadKvConfig, writeKvConfig } from './kv-config-file.ts'
import type { SliceRunner } from '../status.ts'

export interface KvStoreOptions {
  /** The file; null to keep the table in memory only. */
  readonly path: string | null
  /** Default: no limits. */
  readonly limits?: KvLimits
  readonly log?: Logger
  readonly clock?: Clock
  /** Does the slices of writing a large table. Default: one after the other. */
  readonly run?: SliceRunner
}

interface WaitingWrite {
  readonly change: KvChange
  readonly done: PromiseWithResolvers<void>
}

/**
 * Owns the KV configuration and its file. Readers see only what is on disk: a change is visible once it has been
 * written, and a change that cannot be written has no effect. Changes that arrive during a write share the next write.
 */
export class KvStore {
  #current: KvConfig
  #waiting: WaitingWrite[] = []
  #working: Promise<void> | null = null
  #seen: string
  readonly #path: string | null
  readonly #limits: KvLimits | undefined
  readonly #log: Logger
  readonly #clock: Clock
  readonly #run: SliceRunner

  /**
   * Reads the file.
   * @throws Error if the file exists but can neither be read nor put aside.
   */
  static async open(options: KvStoreOptions): Promise<KvStore> {
    const { path, log = silent, clock = systemClock } = options
    if (path === null) return new KvStore(options, new KvConfig(), '')
    const config = await loadKvConfig(path, { log, now: clock.now() })
    return new KvStore(options, config, await fingerprint(path))
  }

  private constructor(options: KvStoreOptions, config: KvConfig, seen: string) {
    this.#current = config
    this.#seen = seen
    this.#path = options.path
    this.#limits = options.limits
    this.#log = options.log ?? silent
    this.#clock = options.clock ?? systemClock
    this.#run = options.run ?? finish
  }

  get current(): KvConfig {
    return this.#current
  }

  /**
   * Sets an entry, and resolves when it is on disk.
   * @throws ResponseError 1 if the table would grow too large or the file cannot be written; nothing has changed then.
   */
  put(namespace: string, key: string, value: string): Promise<void> {
    return this.#change({ kind: 'put', namespace, key, value })
  }

  /**
   * Deletes an entry if there is one, and resolves when the change is on disk.
   * @throws ResponseError 1 if the file cannot be written; nothing has changed then.
   */
  delete(namespace: string, key: string): Promise<void> {
    return this.#change({ kind: 'delete', namespace, key })
  }

  /** Waits for the changes requested so far; more may follow. */
  async close(): Promise<void> {
    await this.#working
  }

  #change(change: KvChange): Promise<void> {
    const done = Promise.withResolvers<void>()
    this.#waiting.push({ change, done })
    this.#working ??= this.#work()
    return done.promise
  }

  async #work(): Promise<void> {
    // By the next microtask all changes of the same socket read are here.
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const draft = new KvDraft(this.#current, this.#limits)
      const batch = this.#waiting.splice(0).filter(write => isAdmitted(write, draft))
      try {
        await this.#write(draft.finish(), batch)
        for (const { done } of batch) done.resolve()
      } catch (error) {
        const reason = (error as Error).message
        this.#log.error({ err: error, path: this.#path }, 'persist kvconfig Exception')
        const refusal = new ResponseError(
          SYSTEM_ERROR,
          `the KV config could not be written, nothing was changed: ${reason}`,
        )
        for (const { done } of batch) done.reject(refusal)
      }
    }
    this.#working = null
  }

  async #write(next: KvConfig, batch: readonly WaitingWrite[]): Promise<void> {
    const before = this.#current
    if (next === before) return
    if (this.#path !== null) await this.#save(this.#path, next)
    this.#current = next
    for (const { change } of batch) this.#report(change, before)
  }

  async #save(path: string, config: KvConfig): Promise<void> {
    if ((await fingerprint(path)) !== this.#seen) await this.#keepForeign(path)
    await replaceFile(path, await this.#run(writeKvConfig(config)))
    this.#seen = await fingerprint(path)
  }

  // Another program has written the file since: a server with the same path, or an editor.
  async #keepForeign(path: string): Promise<void> {
    if ((await fingerprint(path)) === '') return
    const aside = await keepAside(path, 'foreign', this.#clock.now())
    this.#log.error({ path, aside }, 'another program changed the KV config file; a copy was kept')
  }

  #report(change: KvChange, before: KvConfig): void {
    const { namespace, key } = change
    if (change.kind === 'delete') {
      this.#log.info({ namespace, key }, 'deleteKVConfig delete a config item')
      return
    }
    // Unlike Apache's, the line has no value: applications keep passwords in the KV configuration.
    const fields = { namespace, key, size: change.value.length }
    if (before.get(namespace, key) !== undefined) {
      this.#log.info(fields, 'putKVConfig update config item')
    } else {
      if (before.namespace(namespace) === undefined) {
        this.#log.info({ namespace }, 'putKVConfig create new Namespace')
      }
      this.#log.info(fields, 'putKVConfig create new config item')
    }
  }
}

/** Makes a change in the draft, or refuses it if the table would grow too large. */
function isAdmitted({ change, done }: WaitingWrite, draft: KvDraft): boolean {
  const full = draft.apply(change)
  if (full !== undefined) done.reject(new ResponseError(SYSTEM_ERROR, full))
  return full === undefined
}

/** A string that differs after every change of the file; empty if there is no file. */
async function fingerprint(path: string): Promise<string> {
  return stat(path, { bigint: true }).then(
    ({ ino, size, mtimeNs }) => `${ino} ${size} ${mtimeNs}`,
    () => '',
  )
}

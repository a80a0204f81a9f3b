/** One change of the KV configuration. */
export type KvChange =
  | { readonly kind: 'put'; readonly namespace: string; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly namespace: string; readonly key: string }

type Namespaces = ReadonlyMap<string, ReadonlyMap<string, string>>

const NOTHING: Namespaces = new Map()
/** Brokers read from this namespace whether topics are ordered, and an empty one tells them more than none. */
export const ORDER_TOPICS = 'ORDER_TOPIC_CONFIG'

export interface KvLimits {
  /** Most bytes in all namespaces, keys and values, in UTF-8. */
  readonly maxSize: number
  /** Most namespaces and keys together. */
  readonly maxEntries: number
}

/**
 * The KV configuration: strings by namespace and key, as in Apache's KVConfigManager.
 * It is immutable: a change returns a new configuration, which shares the unchanged namespaces.
 */
export class KvConfig {
  readonly #namespaces: Namespaces
  /** Bytes in all namespaces, keys and values, in UTF-8. */
  readonly size: number
  /** Number of entries in all namespaces. */
  readonly entries: number

  /** @param counted Size and entries, if they are known. */
  constructor(namespaces: Namespaces = NOTHING, counted: Pick<KvConfig, 'size' | 'entries'> = countsOf(namespaces)) {
    this.#namespaces = namespaces
    this.size = counted.size
    this.entries = counted.entries
  }

  get(namespace: string, key: string): string | undefined {
    return this.#namespaces.get(namespace)?.get(key)
  }

  /** A namespace's entries, empty if all were deleted; undefined if nothing was ever put into it. */
  namespace(name: string): ReadonlyMap<string, string> | undefined {
    return this.#namespaces.get(name)
  }

  /** All namespaces in the order of their creation. */
  namespaces(): IterableIterator<[name: string, entries: ReadonlyMap<string, string>]> {
    return this.#namespaces.entries()
  }

  /** How many namespaces there are. */
  get namespaceCount(): number {
    return this.#namespaces.size
  }

  /** The configuration after some changes; the same object if they change nothing. */
  with(changes: Iterable<KvChange>): KvConfig {
    const draft = new KvDraft(this)
    for (const change of changes) draft.apply(change)
    return draft.finish()
  }
}

/** A configuration that is being changed. It copies the namespaces that change. */
export class KvDraft {
  readonly #before: KvConfig
  readonly #limits: KvLimits | undefined
  #namespaces: Map<string, ReadonlyMap<string, string>> | undefined
  readonly #copies = new Map<string, Map<string, string>>()
  #size: number
  #entries: number

  /** @param limits Default: none. */
  constructor(before: KvConfig, limits?: KvLimits) {
    this.#before = before
    this.#limits = limits
    this.#size = before.size
    this.#entries = before.entries
  }

  /**
   * Makes a change. Namespaces without entries are dropped if that makes room for it.
   * @returns Why it would exceed a limit, and then it is not made; otherwise undefined.
   */
  apply(change: KvChange): string | undefined {
    const { namespace, key } = change
    if (change.kind === 'put') return this.#put(namespace, key, change.value)
    this.#delete(namespace, key)
    return undefined
  }

  #put(namespace: string, key: string, value: string): string | undefined {
    const entries = this.#entriesOf(namespace)
    const old = entries?.get(key)
    if (old === value) return undefined
    const isNew = old === undefined
    const named = entries === undefined ? bytesOf(namespace) : 0
    const growth = named + bytesOf(value) + (isNew ? bytesOf(key) : -bytesOf(old))
    const more = (entries === undefined ? 1 : 0) + (isNew ? 1 : 0)
    if (this.#whyFull(growth, more) !== undefined) {
      const empty = this.#emptyExcept(namespace)
      const full = this.#whyFull(growth, more, empty)
      if (full !== undefined) return full
      this.#drop(empty)
    }
    this.#copyOf(namespace).set(key, value)
    this.#count(growth, isNew ? 1 : 0)
    return undefined
  }

  #delete(namespace: string, key: string): void {
    const old = this.#entriesOf(namespace)?.get(key)
    if (old === undefined) return
    this.#copyOf(namespace).delete(key)
    this.#count(-bytesOf(key) - bytesOf(old), -1)
  }

  /** The configuration with the changes; the same object if there were none. */
  finish(): KvConfig {
    if (this.#namespaces === undefined) return this.#before
    return new KvConfig(this.#namespaces, { size: this.#size, entries: this.#entries })
  }

  /** @param without Namespaces to be dropped. */
  #whyFull(growth: number, more: number, without: readonly string[] = []): string | undefined {
    if (this.#limits === undefined) return undefined
    const { maxSize, maxEntries } = this.#limits
    const size = this.#size - without.reduce((sum, name) => sum + bytesOf(name), 0)
    if (growth > 0 && size + growth > maxSize) {
      return `the KV config has ${size} bytes, needs ${growth} more, and may have at most ${maxSize} (maxKvConfigSize)`
    }
    const entries = this.#entries + this.#namespaceCount() - without.length
    if (more > 0 && entries + more > maxEntries) {
      return `the KV config has ${entries} namespaces and keys, and may have at most ${maxEntries} (maxKvConfigEntries)`
    }
    return undefined
  }

  #emptyExcept(namespace: string): string[] {
    const empty: string[] = []
    for (const [name, { size }] of this.#namespaces ?? this.#before.namespaces()) {
      if (size === 0 && name !== namespace && name !== ORDER_TOPICS) empty.push(name)
    }
    return empty
  }

  #drop(names: readonly string[]): void {
    for (const name of names) {
      this.#changed().delete(name)
      this.#copies.delete(name)
      this.#count(-bytesOf(name), 0)
    }
  }

  #namespaceCount(): number {
    return this.#namespaces?.size ?? this.#before.namespaceCount
  }

  #entriesOf(namespace: string): ReadonlyMap<string, string> | undefined {
    return this.#namespaces === undefined ? this.#before.namespace(namespace) : this.#namespaces.get(namespace)
  }

  #changed(): Map<string, ReadonlyMap<string, string>> {
    return (this.#namespaces ??= new Map(this.#before.namespaces()))
  }

  #copyOf(namespace: string): Map<string, string> {
    const known = this.#copies.get(namespace)
    if (known !== undefined) return known
    const copy = new Map(this.#entriesOf(namespace))
    this.#copies.set(namespace, copy)
    this.#changed().set(namespace, copy)
    return copy
  }

  #count(size: number, entries: number): void {
    this.#size += size
    this.#entries += entries
  }
}

function countsOf(namespaces: Namespaces): { size: number; entries: number } {
  let size = 0
  let count = 0
  for (const [name, entries] of namespaces) {
    size += bytesOf(name)
    count += entries.size
    for (const [key, value] of entries) size += bytesOf(key) + bytesOf(value)
  }
  return { size, entries: count }
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text)
}

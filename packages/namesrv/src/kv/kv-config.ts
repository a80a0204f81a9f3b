/** One change of the KV configuration. */
export type KvChange =
  | { readonly kind: 'put'; readonly namespace: string; readonly key: string; readonly value: string }
  | { readonly kind: 'delete'; readonly namespace: string; readonly key: string }

type Namespaces = ReadonlyMap<string, ReadonlyMap<string, string>>

const NOTHING: Namespaces = new Map()

/**
 * The KV configuration: strings by namespace and key, as in Apache's KVConfigManager.
 * It is immutable: a change returns a new configuration, which shares the unchanged namespaces.
 */
export class KvConfig {
  readonly #namespaces: Namespaces
  /** Characters in all names, keys and values. */
  readonly size: number

  constructor(namespaces: Namespaces = NOTHING) {
    this.#namespaces = namespaces
    this.size = sizeOf(namespaces)
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

  /** Number of entries in all namespaces. */
  get entries(): number {
    let entries = 0
    for (const namespace of this.#namespaces.values()) entries += namespace.size
    return entries
  }

  /** The configuration after some changes; the same object if they change nothing. */
  with(changes: Iterable<KvChange>): KvConfig {
    const copies = new Map<string, Map<string, string>>()
    const copyOf = (namespace: string) => {
      const copy = copies.get(namespace) ?? new Map(this.#namespaces.get(namespace))
      copies.set(namespace, copy)
      return copy
    }
    for (const change of changes) {
      const { namespace, key } = change
      const entries = copies.get(namespace) ?? this.#namespaces.get(namespace)
      if (change.kind === 'put') {
        if (entries?.get(key) !== change.value) copyOf(namespace).set(key, change.value)
      } else if (entries?.has(key)) {
        copyOf(namespace).delete(key)
      }
    }
    return copies.size === 0 ? this : new KvConfig(new Map([...this.#namespaces, ...copies]))
  }
}

function sizeOf(namespaces: Namespaces): number {
  let size = 0
  for (const [name, entries] of namespaces) {
    size += name.length
    for (const [key, value] of entries) size += key.length + value.length
  }
  return size
}

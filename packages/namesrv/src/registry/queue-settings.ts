/**
 * The queues of a topic in a broker group: Apache's QueueData without the broker name. A TopicConfig has these fields
 * too.
 */
export interface QueueSettings {
  readonly readQueueNums: number
  readonly writeQueueNums: number
  /** Permission bits. */
  readonly perm: number
  /** Bit 1: unit, bit 2: unit subscription. */
  readonly topicSysFlag: number
}

/** @param perm Replaces the permission of `b`. */
export function sameQueues(a: QueueSettings, b: QueueSettings, perm = b.perm): boolean {
  return (
    a.perm === perm &&
    a.readQueueNums === b.readQueueNums &&
    a.writeQueueNums === b.writeQueueNums &&
    a.topicSysFlag === b.topicSysFlag
  )
}

/** Beyond this many different settings the pool is emptied. Sharing only saves memory; no result depends on it. */
const POOL_LIMIT = 4096

/** Shares one record among all topics with the same settings: thousands of topics have only a handful of them. */
export class QueueSettingsPool {
  readonly #kept = new Map<string, QueueSettings>()
  #last: QueueSettings | undefined

  /** The shared record equal to `settings`, with `perm` in place of its own where given. */
  of(settings: QueueSettings, perm = settings.perm): QueueSettings {
    const { readQueueNums, writeQueueNums, topicSysFlag } = settings
    if (this.#last && sameQueues(this.#last, settings, perm)) return this.#last
    const key = `${readQueueNums} ${writeQueueNums} ${perm} ${topicSysFlag}`
    this.#last = this.#kept.get(key) ?? this.#keep(key, { readQueueNums, writeQueueNums, perm, topicSysFlag })
    return this.#last
  }

  #keep(key: string, settings: QueueSettings): QueueSettings {
    if (this.#kept.size >= POOL_LIMIT) this.#kept.clear()
    this.#kept.set(key, settings)
    return settings
  }
}

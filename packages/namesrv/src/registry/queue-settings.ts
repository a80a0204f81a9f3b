import type { QueueData } from '@gantrymq/protocol'

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

/** The queues of all topics of one group that have the same settings. Changed by GroupQueues only. */
export interface SharedQueues {
  /** As routes show them. It is replaced and never changed in place, so it is encoded once for all topics. */
  queueData: QueueData
  /** How many topics share them. */
  topics: number
}

/**
 * The queues of one broker group, one record for all topics with the same settings. Thousands of topics have only a
 * handful of different settings, so the records save memory, and a new permission for all topics of the group changes a
 * few records instead of all topics.
 */
export class GroupQueues {
  readonly #brokerName: string
  readonly #records = new Set<SharedQueues>()
  /** By the text of the settings. Two records become equal when a permission changes; then one of them is found here. */
  readonly #bySettings = new Map<string, SharedQueues>()
  #last: SharedQueues | undefined

  constructor(brokerName: string) {
    this.#brokerName = brokerName
  }

  /** The record with these settings, for one more topic. */
  share(settings: QueueSettings, perm: number): SharedQueues {
    const last = this.#last
    const record = last && sameQueues(last.queueData, settings, perm) ? last : this.#find(settings, perm)
    this.#last = record
    record.topics++
    return record
  }

  #find({ readQueueNums, writeQueueNums, topicSysFlag }: QueueSettings, perm: number): SharedQueues {
    const queueData = { brokerName: this.#brokerName, readQueueNums, writeQueueNums, perm, topicSysFlag }
    const key = keyOf(queueData)
    const known = this.#bySettings.get(key)
    if (known !== undefined) return known
    const record = { queueData, topics: 0 }
    this.#records.add(record)
    this.#bySettings.set(key, record)
    return record
  }

  /** Notes that a topic no longer shares a record, and forgets it after its last topic. */
  release(record: SharedQueues): void {
    if (--record.topics > 0) return
    this.#records.delete(record)
    if (this.#last === record) this.#last = undefined
    const key = keyOf(record.queueData)
    if (this.#bySettings.get(key) === record) this.#bySettings.delete(key)
  }

  /** Changes the permission of all topics. @returns Whether any topic had another one. */
  changePermission(change: (perm: number) => number): boolean {
    let hasChanged = false
    this.#bySettings.clear()
    for (const record of this.#records) {
      const perm = change(record.queueData.perm)
      if (perm !== record.queueData.perm) {
        record.queueData = { ...record.queueData, perm }
        hasChanged = true
      }
      this.#bySettings.set(keyOf(record.queueData), record)
    }
    return hasChanged
  }
}

function keyOf({ readQueueNums, writeQueueNums, perm, topicSysFlag }: QueueSettings): string {
  return `${readQueueNums} ${writeQueueNums} ${perm} ${topicSysFlag}`
}

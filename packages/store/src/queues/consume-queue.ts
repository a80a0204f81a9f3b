/** One queue of a topic: where each of its messages is in the log. */
export class ConsumeQueue {
  readonly topic: string
  /** The topic in UTF-8. */
  readonly topicBytes: Buffer
  readonly id: number
  /** Hash of `topic#`, with which the hash of each of its index keys begins. */
  readonly keyPrefixHash: number
  /** Offset that the next appended record gets. Only the log changes it: it runs ahead of `maxOffset` until the record is safe. */
  nextOffset = 0
  #minOffset = 0
  #maxOffset = 0

  constructor(topic: string, id: number, keyPrefixHash: number) {
    this.topic = topic
    this.topicBytes = Buffer.from(topic)
    this.id = id
    this.keyPrefixHash = keyPrefixHash
  }

  /** The first offset that can be read. */
  get minOffset(): number {
    return this.#minOffset
  }

  /** Behind the last offset that can be read. */
  get maxOffset(): number {
    return this.#maxOffset
  }
}

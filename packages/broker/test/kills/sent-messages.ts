import assert from 'node:assert/strict'
import type { StoredMessage } from '@gantrymq/protocol'

/** Where a message is, as its acknowledgement says. */
export interface Place {
  readonly queueId: number
  readonly offset: number
  /** Of its record in the log. */
  readonly position: number
}

/** A queue as a consumer reads it. */
export interface ReadQueue {
  /** Offset of the first message. */
  readonly start: number
  readonly messages: readonly StoredMessage[]
}

/** What producers, consumers and operators have asked of a broker, and what it has acknowledged, over all its starts. */
export class SentMessages {
  readonly #sent = new Set<string>()
  readonly #acknowledged = new Map<string, Place>()
  readonly #commits = new Map<number, Set<number>>()
  readonly #groups = new Set<string>()
  /** Whether a topic exists; undefined while the last change was not acknowledged. */
  readonly #topics = new Map<string, boolean | undefined>()

  get acknowledged(): number {
    return this.#acknowledged.size
  }

  /** @returns The text of a message that was never sent before. */
  next(padding: number): string {
    const text = `${this.#sent.size} ${' '.repeat(padding)}`
    this.#sent.add(text)
    return text
  }

  noteAcknowledged(text: string, place: Place): void {
    this.#acknowledged.set(text, place)
  }

  noteCommit(queueId: number, offset: number): void {
    const commits = this.#commits.get(queueId)
    if (commits === undefined) this.#commits.set(queueId, new Set([offset]))
    else commits.add(offset)
  }

  noteGroup(group: string): void {
    this.#groups.add(group)
  }

  noteTopic(topic: string, exists: boolean | undefined): void {
    this.#topics.set(topic, exists)
  }

  /** An acknowledged message of the log, which begins at `logStart`. */
  some(index: number, logStart: number): string | undefined {
    const left = [...this.#acknowledged].filter(([, { position }]) => position >= logStart)
    return left[index % Math.max(left.length, 1)]?.[0]
  }

  /**
   * @param logStart Below this position of the log, messages have expired.
   * @throws AssertionError if a message was lost, doubled, moved or invented, an offset has no message, or one has expired that is in
   *   the log
   */
  checkQueues(queues: readonly ReadQueue[], logStart: number): void {
    const found = new Map<string, Place>()
    queues.forEach(({ start, messages }, queueId) => {
      messages.forEach((message, index) => {
        const offset = start + index
        const text = message.body.toString()
        const place = `offset ${offset} of queue ${queueId}`
        assert.equal(Number(message.queueOffset), offset, `no message has ${place}`)
        assert.ok(this.#sent.has(text), `the message at ${place} was never sent: ${text.trimEnd()}`)
        assert.ok(!found.has(text), `the message at ${place} is there twice: ${text.trimEnd()}`)
        found.set(text, { queueId, offset, position: Number(message.physicalOffset) })
      })
    })
    for (const [text, place] of this.#acknowledged) {
      const expected = place.position >= logStart ? place : undefined
      const problem = expected === undefined ? 'has expired and is there' : 'is not there'
      assert.deepEqual(found.get(text), expected, `the message that was acknowledged ${problem}: ${text.trimEnd()}`)
    }
  }

  /** @param offset 0 if the group has none. @throws AssertionError if it was never committed */
  checkCommit(queueId: number, offset: number): void {
    if (offset === 0) return
    assert.ok(this.#commits.get(queueId)?.has(offset), `offset ${offset} of queue ${queueId} was never committed`)
  }

  /** @throws AssertionError if a group is missing that was acknowledged */
  checkGroups(groups: ReadonlySet<string>): void {
    for (const group of this.#groups) assert.ok(groups.has(group), `the group ${group} is not there`)
  }

  /** @throws AssertionError if a topic is missing that was acknowledged, or there is one whose deletion was */
  checkTopics(topics: ReadonlySet<string>): void {
    for (const [topic, exists] of this.#topics) {
      if (exists !== undefined) assert.equal(topics.has(topic), exists, `whether the topic ${topic} exists`)
    }
  }
}

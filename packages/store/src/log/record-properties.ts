import { stringHash } from '@gantrymq/protocol'

const NAME_END = 1
const VALUE_END = 2
const SPACE = 0x20

const UNIQ_KEY = Buffer.from('UNIQ_KEY')
const TRUE = Buffer.from('true')

/** Bytes up to which a loop moves them faster than a native call. */
const SHORT_MOVE = 48

/**
 * What the store needs to know of a record's properties. One object is used for all records: `scan` replaces its content.
 *
 * The text is read once, without creating strings: an entry counts as in Apache's MessageDecoder.string2messageProperties, which
 * drops entries without a name or a value and takes the last of a repeated name.
 */
export class RecordProperties {
  /** Java's hashCode of TAGS; 0 without tags. */
  tagsHash = 0
  /** DELAY as a number; 0 without it, or if it is not a number. */
  delayLevel = 0
  /** False if WAIT is `false`: the sender does not wait for the disk. */
  waits = true
  /** See `DispatchedRecord`. */
  keyHashes: Int32Array = new Int32Array(16)
  keyCount = 0

  /**
   * Reads the text in `bytes[start, end)`.
   * @param keyPrefixHash Hash of `topic#`.
   * @param cutWait Whether to remove WAIT from the text, as Apache's SendMessageProcessor does: it concerns only the sender.
   * @returns The end of the text, which is before `end` if something was removed
   */
  scan(bytes: Buffer, start: number, end: number, keyPrefixHash: number, cutWait: boolean): number {
    this.tagsHash = 0
    this.delayLevel = 0
    this.waits = true
    this.keyCount = 0
    let tagsAt = -1
    let tagsEnd = -1
    let keysAt = -1
    let keysEnd = -1
    let uniqueAt = -1
    let uniqueEnd = -1
    let textEnd = end
    for (let at = start; at < textEnd; ) {
      let split = at
      let byte = 0
      while (split < textEnd && (byte = bytes[split] as number) !== NAME_END && byte !== VALUE_END) split++
      const valueAt = split + 1
      let stop = split
      while (stop < textEnd && bytes[stop] !== VALUE_END) stop++
      if (split > at && valueAt < stop && byte === NAME_END) {
        const length = split - at
        const first = bytes[at] as number
        if (length === 4) {
          if (first === 0x54 && isTags(bytes, at)) {
            tagsAt = valueAt
            tagsEnd = stop
          } else if (first === 0x4b && isKeys(bytes, at)) {
            keysAt = valueAt
            keysEnd = stop
          } else if (first === 0x57 && isWait(bytes, at)) {
            this.waits = !isFalse(bytes, valueAt, stop)
            if (cutWait) {
              textEnd = removeEntry(bytes, start, at, stop, textEnd)
              continue
            }
          }
        } else if (length === 8) {
          if (first === 0x55 && isUniqueKey(bytes, at)) {
            uniqueAt = valueAt
            uniqueEnd = stop
          }
        } else if (length === 5 && first === 0x44 && isDelay(bytes, at)) {
          this.delayLevel = levelOf(bytes, valueAt, stop)
        }
      }
      at = stop + 1
    }
    if (tagsAt >= 0) this.tagsHash = hashOf(bytes, tagsAt, tagsEnd, 0)
    if (uniqueAt >= 0) this.#addKey(hashOf(bytes, uniqueAt, uniqueEnd, keyPrefixHash))
    if (keysAt >= 0) this.#addKeys(bytes, keysAt, keysEnd, keyPrefixHash)
    return textEnd
  }

  /** Keys are separated by single spaces; empty ones do not count. Source: Apache's IndexService.buildIndex. */
  #addKeys(bytes: Buffer, start: number, end: number, keyPrefixHash: number): void {
    for (let at = start; at < end; ) {
      let stop = at
      while (stop < end && bytes[stop] !== SPACE) stop++
      if (stop > at) this.#addKey(hashOf(bytes, at, stop, keyPrefixHash))
      at = stop + 1
    }
  }

  #addKey(hash: number): void {
    if (this.keyCount === this.keyHashes.length) {
      const more = new Int32Array(this.keyCount * 2)
      more.set(this.keyHashes)
      this.keyHashes = more
    }
    this.keyHashes[this.keyCount++] = hash
  }
}

/** Java's hashCode of the text in `bytes[start, end)`, behind a text with the hash `before`. */
function hashOf(bytes: Buffer, start: number, end: number, before: number): number {
  let hash = before
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number
    // The hash is over UTF-16 units, which are the bytes as long as all of them are ASCII.
    if (byte > 0x7f) return hashOfText(bytes.toString('utf8', at, end), hash)
    hash = (Math.imul(31, hash) + byte) | 0
  }
  return hash
}

function hashOfText(text: string, before: number): number {
  let power = 1
  for (let unit = 0; unit < text.length; unit++) power = Math.imul(power, 31)
  return (Math.imul(before, power) + stringHash(text)) | 0
}

/**
 * Removes the entry in `bytes[at, stop)` with one separator.
 * @returns The new end of the text, which ends with a separator only if it did before
 */
function removeEntry(bytes: Buffer, start: number, at: number, stop: number, end: number): number {
  if (stop === end) return at > start ? at - 1 : at
  const from = stop + 1
  if (end - from > SHORT_MOVE) bytes.copyWithin(at, from, end)
  else for (let i = from, to = at; i < end; i++, to++) bytes[to] = bytes[i] as number
  return end - (from - at)
}

function isTags(bytes: Buffer, at: number): boolean {
  return bytes[at + 1] === 0x41 && bytes[at + 2] === 0x47 && bytes[at + 3] === 0x53
}

function isKeys(bytes: Buffer, at: number): boolean {
  return bytes[at + 1] === 0x45 && bytes[at + 2] === 0x59 && bytes[at + 3] === 0x53
}

function isWait(bytes: Buffer, at: number): boolean {
  return bytes[at + 1] === 0x41 && bytes[at + 2] === 0x49 && bytes[at + 3] === 0x54
}

function isDelay(bytes: Buffer, at: number): boolean {
  return bytes[at + 1] === 0x45 && bytes[at + 2] === 0x4c && bytes[at + 3] === 0x41 && bytes[at + 4] === 0x59
}

function isUniqueKey(bytes: Buffer, at: number): boolean {
  for (let i = 0; i < UNIQ_KEY.length; i++) if (bytes[at + i] !== UNIQ_KEY[i]) return false
  return true
}

/** Boolean.parseBoolean takes anything but `true`, in letters of either case, for false. */
function isFalse(bytes: Buffer, start: number, end: number): boolean {
  if (end - start !== TRUE.length) return true
  for (let i = 0; i < TRUE.length; i++) if (((bytes[start + i] as number) | 0x20) !== TRUE[i]) return true
  return false
}

/** Integer.parseInt of at most nine digits; 0 for anything else. */
function levelOf(bytes: Buffer, start: number, end: number): number {
  if (end - start > 9) return 0
  let level = 0
  for (let at = start; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30
    if (digit < 0 || digit > 9) return 0
    level = level * 10 + digit
  }
  return level
}

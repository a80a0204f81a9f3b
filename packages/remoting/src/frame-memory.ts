import type { Clock } from './clock.ts'

/** A frame that holds no more is not counted: the number of connections bounds these frames. */
const UNCOUNTED = 4096

/** How long a frame may take to arrive while others wait for memory, milliseconds. */
const PATIENCE_MS = 5000
/** How long a connection waits for memory before it closes, milliseconds. */
const LONGEST_WAIT_MS = 60_000
/** A connection that waits may hold so much in addition to its rest, because its stream reads once more: Node's read size. */
const READ_SIZE = 64 * 1024

/** Fewer bytes that a peer has not read are not counted. */
const UNCOUNTED_UNREAD = 64 * 1024

/** The connection that a share belongs to. */
export interface MemoryUser {
  /** Called when a connection that had to wait may read on. */
  onMemory(): void
  /** Closes the connection, which then closes its share. */
  onOutOfMemory(why: string): void
}

/**
 * Bounds the memory that the peers of a server can fill together: with frames that have not arrived completely and requests that
 * are not answered yet, and with replies that they do not read.
 *
 * Frames of up to 4 KiB always pass, and all other frames pass while there is room.
 *
 * Without room, a connection with a larger frame, or with requests in progress, stops reading until there is room again;
 * connections get room in the order in which they asked. No peer can keep it from them: while a connection waits, every frame
 * that has been arriving for 5 seconds loses its connection, the oldest first. If nothing but unfinished frames fill the memory,
 * the oldest one gets more than the limit, so that it can end. What the waiting connections have read already may fill half of
 * the limit in addition; a further connection closes.
 *
 * Unread replies have the same limit, and are counted apart. Beyond it, the connection with the most of them closes.
 */
export class FrameMemory {
  readonly #limit: number
  readonly #clock: Clock
  #used = 0
  #inProgress = 0
  /** Shares with an unfinished frame, in the order in which the frames began. */
  readonly #arriving = new Set<MemoryShare>()
  /** Shares in the order in which they began to wait. */
  readonly #waiting = new Set<MemoryShare>()
  #waitingBytes = 0
  /** Shares whose peers have not read replies. */
  readonly #behind = new Set<MemoryShare>()
  #unread = 0
  #isSettling = false

  /** @param limit Bytes. One unfinished frame may exceed it. */
  constructor(limit: number, clock: Clock) {
    this.#limit = limit
    this.#clock = clock
  }

  /** Bytes in use, without those of waiting connections. */
  get used(): number {
    return this.#used
  }

  /** Bytes of replies that the peers have not read. */
  get unread(): number {
    return this.#unread
  }

  /** Connections that wait for memory. */
  get waiting(): number {
    return this.#waiting.size
  }

  get isFull(): boolean {
    return this.#used > this.#limit
  }

  share(user: MemoryUser): MemoryShare {
    return new MemoryShare(this, user)
  }

  /** Counts the bytes of a request until it is answered: call `release` with the same number then. */
  hold(bytes: number): void {
    this.#used += bytes
    this.#inProgress += bytes
  }

  release(bytes: number): void {
    this.#used -= bytes
    this.#inProgress -= bytes
    if (this.#waiting.size > 0) this.#settle()
  }

  /** Closes connections whose time is up. To be called about every second. */
  sweep(): void {
    if (this.#waiting.size === 0) return
    const now = this.#clock.elapsed()
    for (const share of this.#waiting) {
      if (now - share.since >= LONGEST_WAIT_MS) {
        share.user.onOutOfMemory(`it waited ${LONGEST_WAIT_MS} ms for memory (${this.#described()})`)
      }
    }
    this.#evictStalled(now)
  }

  // -- For shares ----------------------------------------------------------------------------------------------------

  /** Lets the unfinished frame of a share have `size` bytes. If false, the share waits for them. */
  grow(share: MemoryShare, size: number): boolean {
    if (!this.#arriving.has(share)) {
      share.since = this.#clock.elapsed()
      this.#arriving.add(share)
    }
    const more = size - share.frame
    if (!this.#fits(more)) this.#evictStalled(this.#clock.elapsed(), more)
    const isGranted = this.#fits(more)
    if (isGranted) this.#give(share, more)
    else share.wanted = more
    return isGranted
  }

  /** Makes a share wait with the bytes that its connection has read and not handled. */
  wait(share: MemoryShare, rest: number): void {
    const bytes = rest + READ_SIZE
    if (this.#waitingBytes + bytes > this.#limit / 2) {
      share.user.onOutOfMemory(`${this.#waiting.size} connections wait for memory already (${this.#described()})`)
      return
    }
    share.since = this.#clock.elapsed()
    share.rest = bytes
    this.#waitingBytes += bytes
    this.#waiting.add(share)
    // What it waits for may have become free since it asked.
    this.#settle()
  }

  /** The unfinished frame of a share is complete. */
  arrived(share: MemoryShare): void {
    this.#arriving.delete(share)
  }

  /** Takes back the memory of a share's frame. */
  dropFrame(share: MemoryShare): void {
    this.#used -= share.frame
    share.frame = 0
    this.#arriving.delete(share)
    if (this.#waiting.size > 0) this.#settle()
  }

  /** Counts the memory of a share's frame as that of a request in progress. */
  keepFrame(share: MemoryShare): number {
    const { frame } = share
    this.#inProgress += frame
    share.frame = 0
    return frame
  }

  /** Notes how many bytes the peer of a share has not read. Closes connections if that is too much for all of them. */
  setUnread(share: MemoryShare, bytes: number): void {
    this.#unread += bytes - share.unread
    share.unread = bytes
    if (bytes === 0) this.#behind.delete(share)
    else this.#behind.add(share)
    while (this.#unread > this.#limit) {
      let most = share
      for (const other of this.#behind) if (other.unread > most.unread) most = other
      most.user.onOutOfMemory(
        `its peer leaves ${most.unread} bytes of replies unread, and all peers ${this.#unread}; the limit is ${this.#limit}`,
      )
    }
  }

  close(share: MemoryShare): void {
    this.#stopWaiting(share)
    this.setUnread(share, 0)
    this.dropFrame(share)
  }

  // -- Who gets memory -----------------------------------------------------------------------------------------------

  /** Whether there is room for so much more, also for all that wait. */
  #fits(bytes: number): boolean {
    return this.#waiting.size === 0 && this.#used + bytes <= this.#limit
  }

  #give(share: MemoryShare, bytes: number): void {
    share.frame += bytes
    share.wanted = 0
    this.#used += bytes
  }

  #settle(): void {
    if (this.#isSettling) return
    this.#isSettling = true
    for (const share of this.#waiting) {
      if (this.#used + share.wanted > this.#limit) break
      this.#admit(share)
    }
    // Without requests in progress, no one but the oldest frame can free memory.
    const oldest = this.#inProgress === 0 ? this.#arriving.values().next().value : undefined
    if (oldest !== undefined && this.#waiting.has(oldest)) this.#admit(oldest)
    this.#isSettling = false
  }

  #admit(share: MemoryShare): void {
    this.#stopWaiting(share)
    this.#give(share, share.wanted)
    share.since = this.#clock.elapsed()
    share.user.onMemory()
  }

  #stopWaiting(share: MemoryShare): void {
    if (!this.#waiting.delete(share)) return
    this.#waitingBytes -= share.rest
    share.rest = 0
  }

  /** Closes the connections of frames that hold up others, until those that wait fit, and `more` bytes. */
  #evictStalled(now: number, more = 0): void {
    let wanted = more
    for (const share of this.#waiting) wanted += share.wanted
    // What becomes free is given away after the last eviction.
    this.#isSettling = true
    for (const share of this.#arriving) {
      if (this.#used + wanted <= this.#limit) break
      if (this.#waiting.has(share) || now - share.since < PATIENCE_MS) continue
      const held = `its frame holds ${share.frame} bytes and has been arriving for ${now - share.since} ms`
      share.user.onOutOfMemory(`${held}, while other frames wait for memory (${this.#described()})`)
    }
    this.#isSettling = false
    this.#settle()
  }

  #described(): string {
    return `frames and requests hold ${this.#used} bytes, the limit is ${this.#limit}`
  }
}

/** What one connection holds of a `FrameMemory`. */
export class MemoryShare {
  readonly user: MemoryUser
  /** Bytes for the frame that is arriving or being handled. */
  frame = 0
  /** Bytes that its peer has not read. */
  unread = 0
  /** Bytes that it waits for. */
  wanted = 0
  /** Bytes that its connection keeps while it waits. */
  rest = 0
  /** Since when its frame has been arriving, or since when it waits. */
  since = 0
  readonly #memory: FrameMemory

  constructor(memory: FrameMemory, user: MemoryUser) {
    this.#memory = memory
    this.user = user
  }

  /** Asks for `size` bytes for the frame that is arriving. If false, the connection must call `wait` and stop reading. */
  grow(size: number): boolean {
    return size <= Math.max(this.frame, UNCOUNTED) || this.#memory.grow(this, size)
  }

  wait(rest: number): void {
    this.#memory.wait(this, rest)
  }

  arrived(): void {
    if (this.frame > 0) this.#memory.arrived(this)
  }

  dropFrame(): void {
    if (this.frame > 0) this.#memory.dropFrame(this)
  }

  /** Counts a request as in progress. @returns The bytes to release when it is answered. */
  hold(size: number): number {
    if (this.frame > 0) return this.#memory.keepFrame(this)
    this.#memory.hold(size)
    return size
  }

  release(bytes: number): void {
    this.#memory.release(bytes)
  }

  /** Notes how many bytes its peer has not read; the connection may close. */
  setUnread(bytes: number): void {
    const counted = bytes > UNCOUNTED_UNREAD ? bytes : 0
    if (counted !== this.unread) this.#memory.setUnread(this, counted)
  }

  get isFull(): boolean {
    return this.#memory.isFull
  }

  close(): void {
    this.#memory.close(this)
  }
}

import type { BufferPool } from './buffer-pool.ts'
import type { Clock } from './clock.ts'
import type { CloseReason } from './close-reason.ts'
import type { Command, ReplyParts, SerializeType } from './command.ts'
import type { Eventual } from './held.ts'
import type { FastPath } from './fast-path.ts'
import { MAX_FRAME } from './frame.ts'
import type { FrameMemory } from './frame-memory.ts'
import { MAX_FIELDS } from './header-view.ts'
import type { Language } from './language.ts'
import type { Logger } from './log.ts'
import type { ReadTurns } from './read-turns.ts'
import type { Peer } from './request.ts'
import type { WriteTurns } from './write-turns.ts'

/** The release that this side announces: the number of 5.5.0, so that peers use the features of 5.x. */
export const ANNOUNCED_VERSION = 513

/** Counts bytes, for all connections that share it. */
export interface Traffic {
  bytesIn: number
  bytesOut: number
}

/** Limits of one connection. */
export interface ConnectionLimits {
  /** Largest frame in bytes, including the length word. Default 16,777,216, Apache's. */
  readonly maxFrame: number
  /** Largest header in bytes. Default 65,536; Apache has no separate limit. */
  readonly maxHeader: number
  /** Most fields in a header. Default 256, which is also the highest value allowed. */
  readonly maxFields: number
  /** Requests of the peer being answered at a time, without held ones; at this limit the connection stops reading. Default 1,024. */
  readonly maxAnswering: number
  /**
   * Requests of the peer held at a time (see `held`); a further held request counts as one being answered. Default 65,536.
   */
  readonly maxHeld: number
  /** Own calls waiting for a reply; a further call fails with TOO_MANY_IN_FLIGHT. Default 65,535, Apache's. */
  readonly maxPending: number
  /** Bytes that the peer has not read yet; beyond this the connection stops reading. Default 1 MiB. */
  readonly maxQueued: number
  /** Bytes that the peer has not read yet; beyond this the connection closes at once. Default 64 MiB. */
  readonly maxQueuedHard: number
  /** How long a peer may leave more than `maxQueued` bytes unread before the connection closes, milliseconds. Default 30,000. */
  readonly slowReaderMs: number
  /** How long a frame may take from its first to its last byte, milliseconds. Default 60,000. */
  readonly slowFrameMs: number
}

export const defaultConnectionLimits: ConnectionLimits = {
  maxFrame: MAX_FRAME,
  maxHeader: 65_536,
  maxFields: MAX_FIELDS,
  maxAnswering: 1024,
  maxHeld: 65_536,
  maxPending: 65_535,
  maxQueued: 1 << 20,
  maxQueuedHard: 64 << 20,
  slowReaderMs: 30_000,
  slowFrameMs: 60_000,
}

export interface ConnectionOptions {
  /** The id, if it was assigned when the connection was accepted. Default: the next id. */
  readonly id?: number
  /** `ip:port` of the peer, for logs and handlers. */
  readonly remoteAddress: string
  /** Whether this side opened the connection. It then tells when the peer is a server of another protocol. Default false. */
  readonly isClient?: boolean
  /** Answers the peer's requests: `Router.dispatch`. Without it, every request is answered with code 3. Must not throw. */
  readonly onRequest?: (command: Command, peer: Peer) => Eventual<ReplyParts>
  /** Gets the peer's requests before `onRequest`, and may answer them itself. */
  readonly fastPath?: FastPath | undefined
  /**
   * Memory for large frames. It is reused when the request is answered, so a handler must copy what it keeps of the body.
   * Without a pool, every frame gets its own memory.
   */
  readonly pool?: BufferPool | undefined
  /** Counts the memory of frames for all connections that share it. Without it, frames are bounded by `maxFrame` only. */
  readonly memory?: FrameMemory | undefined
  /** Divides the time for reading among the connections that share it. Default: the connection has its own. */
  readonly turns?: Pick<ReadTurns, 'isOver' | 'later' | 'forget'> | undefined
  /** Gathers the writes of the connections that share it. Default: the connection writes at the end of each of its reads. */
  readonly writeTurns?: Pick<WriteTurns, 'later'> | undefined
  readonly traffic?: Traffic | undefined
  /**
   * Called when requests have been answered. `count` is more than 1 if a fast path answered several at once: then each of them
   * took `ms` milliseconds on average.
   */
  readonly onAnswered?: ((requestCode: number, responseCode: number, ms: number, count: number) => void) | undefined
  /** Called once, when the connection has ended. */
  readonly onClose?: (reason: CloseReason, error: Error | null) => void
  /**
   * Adds fields to every own request before it is written, for example a signature. `peerVersion` is the version in the
   * peer's last command, 0 before the first one.
   */
  readonly onSend?: ((fields: Map<string, string>, body: Uint8Array | null, peerVersion: number) => void) | undefined
  readonly limits?: Partial<ConnectionLimits>
  /** How the headers of own requests are encoded. Default JSON. */
  readonly serializeType?: SerializeType
  /** The language that own commands announce. Default JAVA: Apache 4.9 does not know NODE_JS. */
  readonly language?: Language
  /** The release that own commands announce. Default 513, Apache 5.5.0. */
  readonly version?: number
  readonly clock?: Clock
  readonly log?: Logger
}

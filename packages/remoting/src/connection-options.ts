import type { BufferPool } from './buffer-pool.ts'
import type { Clock } from './clock.ts'
import type { CloseReason } from './close-reason.ts'
import type { Command, ReplyParts, SerializeType } from './command.ts'
import type { Eventual } from './held.ts'
import type { FastPath } from './fast-path.ts'
import { MAX_FRAME } from './frame.ts'
import { MAX_FIELDS } from './header-view.ts'
import type { Language } from './language.ts'
import type { Logger } from './log.ts'
import type { Peer } from './request.ts'

/** The release we announce: the number of 5.5.0, so that peers use what 5.x knows. */
export const ANNOUNCED_VERSION = 513

/** Counts bytes, for all connections that share it. */
export interface Traffic {
  bytesIn: number
  bytesOut: number
}

/** How much a peer may ask of this side. */
export interface ConnectionLimits {
  /** Largest frame in bytes, length word counted. Default 16,777,216, Apache's. */
  readonly maxFrame: number
  /** Largest header in bytes. Default 65,536; Apache has no limit of its own. */
  readonly maxHeader: number
  /** Most fields in a header. Default 256, which is also the most that can be allowed. */
  readonly maxFields: number
  /** Requests of the peer being answered at a time, not counting held ones; beyond it reading pauses. Default 1,024. */
  readonly maxAnswering: number
  /**
   * Requests of the peer held at a time (see `held`); beyond it a held request counts as one being answered. Default 65,536.
   */
  readonly maxHeld: number
  /** Own calls waiting for a reply; beyond it a call is refused. Default 65,535, Apache's. */
  readonly maxPending: number
  /** Bytes waiting to be read by the peer; beyond it reading pauses. Default 1 MiB. */
  readonly maxQueued: number
  /** Bytes waiting to be read by the peer; beyond it the peer is dropped at once. Default 64 MiB. */
  readonly maxQueuedHard: number
  /** How long a peer may leave `maxQueued` bytes unread before it is dropped, milliseconds. Default 30,000. */
  readonly slowReaderMs: number
  /** How long a frame may take from its first to its last byte, milliseconds. Default 60,000. */
  readonly slowFrameMs: number
}

export const defaultLimits: ConnectionLimits = {
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
  /** Its number, if it was given one when it was accepted. Default: the next. */
  readonly id?: number
  /** `ip:port` of the peer, for logs and handlers. */
  readonly remoteAddress: string
  /** Answers the peer's requests: `Router.dispatch`. Without it they get code 3. Must not throw. */
  readonly onRequest?: (command: Command, peer: Peer) => Eventual<ReplyParts>
  /** Is offered the peer's requests before `onRequest`. */
  readonly fastPath?: FastPath | undefined
  /**
   * Memory for large frames, used again when their request is answered: whoever handles it must copy what it keeps of
   * the body. Without it every frame has its own.
   */
  readonly pool?: BufferPool | undefined
  readonly traffic?: Traffic | undefined
  /**
   * Told of each request answered. `count` is more than 1 if a fast path answered requests at once: they took `ms` each, on
   * average.
   */
  readonly onAnswered?: ((requestCode: number, responseCode: number, ms: number, count: number) => void) | undefined
  /** Called once, when nothing more will happen. */
  readonly onClose?: (reason: CloseReason, error: Error | null) => void
  /**
   * Adds to the fields of every own request before it is written: signing. `peerVersion` is the one that the peer's last
   * command said, 0 before the first.
   */
  readonly onSend?: ((fields: Map<string, string>, body: Uint8Array | null, peerVersion: number) => void) | undefined
  readonly limits?: Partial<ConnectionLimits>
  /** How own requests write their header. Default JSON. */
  readonly serializeType?: SerializeType
  /** What own commands say of their language. Default JAVA: Apache 4.9 does not know NODE_JS. */
  readonly language?: Language
  /** Default 513, Apache 5.5.0. */
  readonly version?: number
  readonly clock?: Clock
  readonly log?: Logger
}

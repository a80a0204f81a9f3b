import type { Language } from './language.ts'

/** How a header is written: Apache's SerializeType. The frame's fifth byte says which. */
export type SerializeType = 'JSON' | 'ROCKETMQ'

/** The text fields of a header: a flattened request header plus whatever hooks have added. */
export type ExtFields = ReadonlyMap<string, string>

/** One message of the protocol, request or reply: Apache's RemotingCommand. */
export interface Command {
  /** Request code, or response code in a reply. int32. */
  readonly code: number
  /** Language of the sender. Undefined if it named one that we do not know. */
  readonly language: Language | undefined
  /** The sender's release as a number, see `release.ts` of the protocol package. 0 if it said nothing. */
  readonly version: number
  /** Ties a reply to its request. int32. */
  readonly opaque: number
  /** Bit 0: reply. Bit 1: one-way. */
  readonly flag: number
  /** Free text, mostly the reason of an error. */
  readonly remark: string | null
  readonly extFields: ExtFields | null
  /** Null and empty are the same on the wire; read as null. */
  readonly body: Buffer | null
  readonly serializeType: SerializeType
}

export const REPLY_FLAG = 1
export const ONEWAY_FLAG = 2

export function isReply(command: Command): boolean {
  return (command.flag & REPLY_FLAG) !== 0
}

export function isOneway(command: Command): boolean {
  return (command.flag & ONEWAY_FLAG) !== 0
}

/** The command without the bytes of its frame, for who keeps it after the frame is done with. */
export function withoutBody(command: Command): Command {
  return command.body === null ? command : { ...command, body: null }
}

/**
 * A body that leaves: in one piece, or in several that leave one behind the other. A piece of more than 16 KiB is not
 * copied: whoever gives it must not change it any more.
 */
export type BodyBytes = Uint8Array | readonly Uint8Array[]

/** What a handler decides; the rest of a reply follows from its request. */
export interface ReplyParts {
  readonly code: number
  readonly remark?: string | null
  readonly extFields?: ExtFields | null
  readonly body?: BodyBytes | null
}

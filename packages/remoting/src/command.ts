import type { Language } from './language.ts'

/** How a header is encoded: Apache's SerializeType. The fifth byte of a frame names it. */
export type SerializeType = 'JSON' | 'ROCKETMQ'

/** The text fields of a header: a flattened request header and the fields that hooks have added. */
export type ExtFields = ReadonlyMap<string, string>

/** One message of the protocol, request or reply: Apache's RemotingCommand. */
export interface Command {
  /** Request code, or response code in a reply. int32. */
  readonly code: number
  /** Language of the sender. Undefined if the sender named an unknown one. */
  readonly language: Language | undefined
  /** The sender's release as a number, see `release.ts` of the protocol package. 0 if the sender named none. */
  readonly version: number
  /** The number of a request, which its reply repeats. int32. */
  readonly opaque: number
  /** Bit 0: reply. Bit 1: one-way. */
  readonly flag: number
  /** Free text, mostly the reason for an error. */
  readonly remark: string | null
  readonly extFields: ExtFields | null
  /** Null if the frame has none: an empty body looks the same on the wire. */
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

/** The command without its body, to be kept after the memory of its frame is reused. */
export function withoutBody(command: Command): Command {
  return command.body === null ? command : { ...command, body: null }
}

/** What is needed of a command to answer it, which takes little memory however many are kept. */
export function withoutContent(command: Command): Command {
  return { ...command, extFields: null, body: null }
}

/**
 * The body of a command to send: one piece, or several that are sent one after another. A piece of more than 16 KiB is not
 * copied, so the caller must not change it afterwards.
 */
export type BodyBytes = Uint8Array | readonly Uint8Array[]

/** The parts of a reply that a handler decides; the rest follows from the request. */
export interface ReplyParts {
  readonly code: number
  readonly remark?: string | null
  readonly extFields?: ExtFields | null
  readonly body?: BodyBytes | null
}

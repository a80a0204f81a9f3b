import { printableLines } from './printable.ts'

/** Why a call over a connection failed. Stable: branch on it, not on the text. */
export type RemotingErrorCode =
  | 'TIMEOUT'
  | 'ABORTED'
  | 'CLOSED'
  | 'CONNECT_FAILED'
  | 'TOO_MANY_IN_FLIGHT'
  | 'SLOW_READER'
  | 'BAD_FRAME'
  | 'FRAME_TOO_LARGE'
  | 'OUT_OF_MEMORY'
  | 'BAD_HEADER'
  | 'BAD_BODY'
  | 'BAD_OPTION'
  | 'GO_AWAY'
  | 'TLS'
  | 'REFUSED'

export interface RemotingErrorOptions extends ErrorOptions {
  /** True if the same call may succeed later or elsewhere. Default false. */
  readonly retriable?: boolean
}

/** A failure below the level of RocketMQ's own response codes. */
export class RemotingError extends Error {
  override readonly name: string = 'RemotingError'
  readonly code: RemotingErrorCode
  readonly retriable: boolean

  constructor(code: RemotingErrorCode, message: string, options: RemotingErrorOptions = {}) {
    super(printableLines(message), options)
    this.code = code
    this.retriable = options.retriable ?? false
  }
}

/** Bytes that are not a frame, or a header that cannot be read. The connection must be closed. */
export class FrameError extends RemotingError {
  override readonly name = 'FrameError'

  constructor(message: string, options?: ErrorOptions) {
    super('BAD_FRAME', message, options)
  }
}

/** The peer announced a frame larger than this side accepts. Raised from the length word alone, before memory is allocated. */
export class FrameTooLargeError extends RemotingError {
  override readonly name = 'FrameTooLargeError'
  readonly size: number
  readonly limit: number

  constructor(size: number, limit: number) {
    super('FRAME_TOO_LARGE', `a frame of ${size} bytes was announced, the limit is ${limit}`)
    this.size = size
    this.limit = limit
  }
}

/** A required header field is missing, or its text does not match its type. */
export class HeaderError extends RemotingError {
  override readonly name = 'HeaderError'
  readonly field: string

  constructor(field: string, message: string) {
    super('BAD_HEADER', message)
    this.field = field
  }
}

/**
 * A request answered with a response code other than success.
 * Thrown by a handler it becomes the reply; thrown by a call it is the peer's reply.
 */
export class ResponseError extends Error {
  override readonly name = 'ResponseError'
  /** RocketMQ's response code. */
  readonly responseCode: number
  /** The remark, word for word. Null if there was none. */
  readonly remark: string | null

  constructor(responseCode: number, remark: string | null, options?: ErrorOptions) {
    super(printableLines(`response code ${responseCode}: ${remark ?? 'no remark'}`), options)
    this.responseCode = responseCode
    this.remark = remark
  }
}

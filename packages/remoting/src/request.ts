import type { CloseReason } from './close-reason.ts'
import type { BodyBytes, Command } from './command.ts'
import type { FieldTable, HeaderCodec, HeaderInput, HeaderValue } from './fields.ts'
import type { Eventual } from './held.ts'

/** Reads and writes one kind of body. */
export interface BodyCodec<T> {
  /** Name of the body in the documentation, Java's class where there is one. */
  readonly name: string
  encode(value: T): Uint8Array
  /** @throws RemotingError BAD_BODY if the bytes are not such a body. */
  decode(bytes: Buffer): T
}

interface Content {
  readonly header?: HeaderCodec<any> // oxlint-disable-line typescript/no-explicit-any -- a bound, never a value
  readonly body?: BodyCodec<any> // oxlint-disable-line typescript/no-explicit-any -- a bound, never a value
}

interface ReplyContent extends Content {
  /** Response codes besides 0 that are answers and not errors: the reply header is read with them too. */
  readonly codes?: readonly number[]
}

/** One request of the protocol: its code, header and bodies are defined here and nowhere else. */
export interface RequestDeclaration extends Content {
  /** Request code, as in Apache's RequestCode. */
  readonly code: number
  /** True if it is always sent one-way, without waiting for an answer. */
  readonly oneway?: boolean
  /**
   * What it changes at the server: the registration of its sender, or what operators decide. A server that asks for signatures
   * goes by it; a request that a client or a broker answers needs none.
   */
  readonly changes?: 'nothing' | 'registration' | 'settings'
  readonly reply?: ReplyContent
  /** One sentence for the documentation. */
  readonly purpose: string
}

export type RequestTable = Readonly<Record<string, RequestDeclaration>>

/** Declares a request, keeping the literal's types. */
export function request<const D extends RequestDeclaration>(declaration: D): D {
  return declaration
}

type HeaderOf<C> = C extends { readonly header: HeaderCodec<infer S extends FieldTable> } ? HeaderValue<S> : undefined
type HeaderGiven<C> = C extends { readonly header: HeaderCodec<infer S extends FieldTable> }
  ? HeaderInput<S>
  : undefined
type BodyOf<C> = C extends { readonly body: BodyCodec<infer T> } ? T : undefined
type ReplyOf<D extends RequestDeclaration> = D extends { readonly reply: infer R } ? R : object

export interface CallOptions {
  /** How long to wait for the reply, milliseconds. Default 3,000, as Apache's clients. */
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
}

/** The sender of a request. A server that sends requests to its clients keeps their peers and calls them. */
export interface Peer {
  /** Unique in this process and never reused. Of two connections that a server accepted, the later one has the higher id. */
  readonly id: number
  /** `ip:port`, or the address that the PROXY protocol gave. */
  readonly remoteAddress: string
  /** False once the connection is closing: then it accepts no more calls. */
  readonly isOpen: boolean
  /** False if the connection already holds as many requests as it may: see `held`. */
  readonly mayHold: boolean
  /** True while the peer leaves half as much unread as would end its connection: do not send it what can be left out. */
  readonly isBehind: boolean
  /**
   * Sends the peer a request and waits for its reply.
   * @throws RemotingError TIMEOUT, ABORTED, CLOSED, TOO_MANY_IN_FLIGHT; ResponseError if the peer's code is neither 0 nor one of
   * the reply codes in the declaration.
   */
  call<const D extends RequestDeclaration>(
    declaration: D,
    input?: CallInput<D>,
    options?: CallOptions,
  ): Promise<Reply<D>>
  /**
   * Sends the peer a request that it does not answer.
   * @throws RemotingError CLOSED
   */
  oneway<const D extends RequestDeclaration>(declaration: D, input?: CallInput<D>): void
  /** Ends the connection now. */
  destroy(reason?: CloseReason): void
}

/** A request as its handler sees it. */
export interface Call<D extends RequestDeclaration> {
  readonly header: HeaderOf<D>
  /** Null if the frame had none. Its bytes are valid until the request is answered or held: copy what is kept. */
  readonly body: BodyOf<D> | null
  readonly command: Command
  readonly peer: Peer
}

/** What a handler returns. To refuse a request, it throws a ResponseError. */
export interface Answer<D extends RequestDeclaration> {
  /** Response code. Default 0, success. */
  readonly code?: number
  readonly remark?: string
  readonly header?: HeaderGiven<ReplyOf<D>>
  /** The body, or its encoded bytes, in one piece or in several. */
  readonly body?: BodyOf<ReplyOf<D>> | BodyBytes | null
}

export type Handler<D extends RequestDeclaration, Context> = (call: Call<D>, context: Context) => Eventual<Answer<D>>

/** A handler for each request of a table. A missing one is a compile error. */
export type HandlersFor<T extends RequestTable, Context> = { readonly [K in keyof T]: Handler<T[K], Context> }

/** What a caller passes with a request. */
export interface CallInput<D extends RequestDeclaration> {
  readonly header?: HeaderGiven<D>
  readonly body?: BodyOf<D> | null
  readonly remark?: string | null
}

/** What a caller gets back. */
export interface Reply<D extends RequestDeclaration> {
  /** 0, or one of the reply codes in the declaration. */
  readonly code: number
  readonly remark: string | null
  readonly header: HeaderOf<ReplyOf<D>>
  readonly body: BodyOf<ReplyOf<D>> | null
  readonly command: Command
}

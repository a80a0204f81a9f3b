import { type Command, type ReplyParts } from './command.ts'
import { HeaderError, RemotingError, ResponseError } from './errors.ts'
import { type Logger, silent } from './log.ts'
import type { Answer, Call, Handler, HandlersFor, Peer, RequestDeclaration, RequestTable } from './request.ts'

/** Response codes that the transport itself gives (Apache's RemotingSysResponseCode). */
export const SUCCESS = 0
export const SYSTEM_ERROR = 1
export const SYSTEM_BUSY = 2
export const REQUEST_CODE_NOT_SUPPORTED = 3
export const GO_AWAY = 1500

/**
 * Sees every request before its handler and every reply before it is written: signing, checking, counting.
 * Apache's RPCHook.
 */
export interface RequestHook {
  /** Throw a ResponseError to refuse the request. */
  before?(command: Command, peer: Peer): void
  after?(command: Command, reply: ReplyParts, peer: Peer): void
}

interface Route<Context> {
  readonly name: string
  readonly declaration: RequestDeclaration
  readonly handler: Handler<RequestDeclaration, Context>
}

export interface RouterOptions {
  readonly hooks?: readonly RequestHook[]
  readonly log?: Logger
}

/** Finds the declaration and the handler of a request by its code, and turns what happens into a reply. */
export class Router<const T extends RequestTable, Context> {
  readonly #routes = new Map<number, Route<Context>>()
  readonly #context: Context
  readonly #hooks: readonly RequestHook[]
  readonly #log: Logger

  constructor(table: T, handlers: HandlersFor<T, Context>, context: Context, options: RouterOptions = {}) {
    this.#context = context
    this.#hooks = options.hooks ?? []
    this.#log = options.log ?? silent
    for (const [name, declaration] of Object.entries(table)) {
      const handler = handlers[name] as unknown as Handler<RequestDeclaration, Context>
      this.#routes.set(declaration.code, { name, declaration, handler })
    }
  }

  /** The reply to a request. Never throws and never rejects: failures become replies. */
  dispatch(command: Command, peer: Peer): ReplyParts | Promise<ReplyParts> {
    const route = this.#routes.get(command.code)
    // The leading blank is Java's (NettyRemotingAbstract.processRequestCommand).
    if (route === undefined) {
      return { code: REQUEST_CODE_NOT_SUPPORTED, remark: ` request type ${command.code} not supported` }
    }
    try {
      for (const hook of this.#hooks) hook.before?.(command, peer)
      const answer = route.handler(readCall(route.declaration, command, peer), this.#context)
      if (answer instanceof Promise) {
        return answer
          .then(settled => this.#finish(route, command, settled, peer))
          .catch((error: unknown) => this.#refuse(route, command, error, peer))
      }
      return this.#finish(route, command, answer, peer)
    } catch (error) {
      return this.#refuse(route, command, error, peer)
    }
  }

  #finish(route: Route<Context>, command: Command, answer: Answer<RequestDeclaration>, peer: Peer): ReplyParts {
    const reply = writeAnswer(route.declaration, answer)
    for (const hook of this.#hooks) hook.after?.(command, reply, peer)
    return reply
  }

  #refuse(route: Route<Context>, command: Command, error: unknown, peer: Peer): ReplyParts {
    if (error instanceof ResponseError) return { code: error.responseCode, remark: error.remark }
    if (error instanceof HeaderError) return { code: SYSTEM_ERROR, remark: `${route.name}: ${error.message}` }
    if (error instanceof RemotingError && error.code === 'BAD_BODY') {
      return { code: SYSTEM_ERROR, remark: `${route.name}: ${error.message}` }
    }
    this.#log.error({ err: error, code: command.code, peer: peer.remoteAddress }, 'process request exception')
    return { code: SYSTEM_ERROR, remark: `${route.name}: ${error instanceof Error ? error.message : String(error)}` }
  }
}

function readCall(declaration: RequestDeclaration, command: Command, peer: Peer): Call<RequestDeclaration> {
  return {
    header: declaration.header?.decode(command.extFields) as Call<RequestDeclaration>['header'],
    body: (command.body === null ? null : (declaration.body?.decode(command.body) ?? null)) as null,
    command,
    peer,
  }
}

function writeAnswer(declaration: RequestDeclaration, answer: Answer<RequestDeclaration>): ReplyParts {
  const given: { readonly header?: unknown; readonly body?: unknown } = answer
  const { body } = given
  return {
    code: answer.code ?? SUCCESS,
    remark: answer.remark ?? null,
    // Java writes extFields, if need be empty, exactly when the response has a header class.
    extFields: declaration.reply?.header ? declaration.reply.header.encode((given.header ?? {}) as never) : null,
    body:
      body === undefined || body === null
        ? null
        : body instanceof Uint8Array
          ? body
          : (declaration.reply?.body?.encode(body) ?? null),
  }
}

import { type BodyBytes, type Command, type ReplyParts, withoutBody, withoutContent } from './command.ts'
import { HeaderError, RemotingError, ResponseError } from './errors.ts'
import { type Eventual, Held, held } from './held.ts'
import { type Logger, silent } from './log.ts'
import { printableLines } from './printable.ts'
import type { Answer, Call, Handler, HandlersFor, Peer, RequestDeclaration, RequestTable } from './request.ts'

/** Response codes that the transport itself sends (Apache's RemotingSysResponseCode). */
export const SUCCESS = 0
export const SYSTEM_ERROR = 1
export const SYSTEM_BUSY = 2
export const REQUEST_CODE_NOT_SUPPORTED = 3
export const GO_AWAY = 1500

/**
 * Gets requests before their handler and replies before they are written, for example to check or count them. Apache's RPCHook.
 * Requests that have no handler are answered without the hooks.
 */
export interface RequestHook {
  /**
   * Called in the order of the hooks. Throw a ResponseError to refuse the request: then later hooks and the handler do not see
   * it.
   */
  before?(command: Command, peer: Peer): void
  /**
   * Called once for each request that `before` of this hook let pass, whether the reply is an answer, a refusal by another hook
   * or by the handler, or a failure. So it can release what `before` has acquired. Not called for a request that this hook itself
   * refused. If it throws, the error becomes the reply, and later hooks see that reply.
   */
  after?(command: Command, reply: ReplyParts, peer: Peer): void
}

type GivenAnswer = Answer<RequestDeclaration>

interface Route<Context> {
  readonly name: string
  readonly declaration: RequestDeclaration
  readonly handler: Handler<RequestDeclaration, Context>
}

/** A request that is being answered. */
interface Exchange<Context> {
  readonly route: Route<Context>
  readonly command: Command
  readonly peer: Peer
  /** How many hooks have let it pass. */
  passed: number
}

export interface RouterOptions {
  readonly hooks?: readonly RequestHook[]
  /** Why requests that are not in the table are not served, by their code: added to the remark of their refusal. */
  readonly refused?: ReadonlyMap<number, string>
  readonly log?: Logger
}

/** Finds the declaration and the handler of a request by its code, and turns the outcome into a reply. */
export class Router<const T extends RequestTable, Context> {
  readonly #routes = new Map<number, Route<Context>>()
  readonly #context: Context
  readonly #hooks: readonly RequestHook[]
  readonly #refused: ReadonlyMap<number, string>
  readonly #log: Logger

  constructor(table: T, handlers: HandlersFor<T, Context>, context: Context, options: RouterOptions = {}) {
    this.#context = context
    this.#hooks = options.hooks ?? []
    this.#refused = options.refused ?? new Map()
    this.#log = options.log ?? silent
    for (const [name, declaration] of Object.entries(table)) {
      const handler = handlers[name] as unknown as Handler<RequestDeclaration, Context>
      this.#routes.set(declaration.code, { name, declaration, handler })
    }
  }

  /** The reply to a request. Never throws and never rejects: failures become replies. */
  dispatch(command: Command, peer: Peer): Eventual<ReplyParts> {
    const route = this.#routes.get(command.code)
    if (route === undefined) return this.#refuse(command)
    const exchange = { route, command, peer, passed: 0 }
    try {
      for (const hook of this.#hooks) {
        hook.before?.(command, peer)
        exchange.passed++
      }
      const answer = route.handler(readCall(route.declaration, command, peer), this.#context)
      if (!(answer instanceof Promise)) return this.#settle(exchange, answer)
      return answer.then(
        settled => this.#settle(exchange, settled),
        (error: unknown) => this.#fail(exchange, error),
      )
    } catch (error) {
      return this.#fail(exchange, error)
    }
  }

  #refuse({ code }: Command): ReplyParts {
    const reason = this.#refused.get(code)
    // The leading blank is Java's (NettyRemotingAbstract.processRequestCommand).
    const remark = ` request type ${code} not supported${reason === undefined ? '' : `: ${reason}`}`
    return { code: REQUEST_CODE_NOT_SUPPORTED, remark }
  }

  #settle(exchange: Exchange<Context>, answer: GivenAnswer | Held<GivenAnswer>): ReplyParts | Held<ReplyParts> {
    return answer instanceof Held ? this.#hold(exchange, answer) : this.#reply(exchange, answer)
  }

  #hold(exchange: Exchange<Context>, { answer }: Held<GivenAnswer>): Held<ReplyParts> {
    // Hooks see the request again; nothing else needs its fields.
    const command = exchange.passed > 0 ? withoutBody(exchange.command) : withoutContent(exchange.command)
    const kept = { ...exchange, command }
    return held(
      answer.then(
        settled => this.#reply(kept, settled),
        (error: unknown) => this.#fail(kept, error),
      ),
    )
  }

  #reply(exchange: Exchange<Context>, answer: GivenAnswer): ReplyParts {
    try {
      return this.#finish(exchange, writeAnswer(exchange.route.declaration, answer))
    } catch (error) {
      return this.#fail(exchange, error)
    }
  }

  #fail(exchange: Exchange<Context>, error: unknown): ReplyParts {
    return this.#finish(exchange, this.#refusal(exchange, error))
  }

  /** Passes the reply to the hooks that let the request pass. */
  #finish(exchange: Exchange<Context>, reply: ReplyParts): ReplyParts {
    const { command, peer, passed } = exchange
    let final = reply
    for (let i = 0; i < passed; i++) {
      try {
        this.#hooks[i]?.after?.(command, final, peer)
      } catch (error) {
        final = this.#refusal(exchange, error)
      }
    }
    return final
  }

  #refusal({ route, command, peer }: Exchange<Context>, error: unknown): ReplyParts {
    if (error instanceof ResponseError) return { code: error.responseCode, remark: shown(error.remark) }
    if (error instanceof HeaderError) return { code: SYSTEM_ERROR, remark: `${route.name}: ${error.message}` }
    if (error instanceof RemotingError && error.code === 'BAD_BODY') {
      return { code: SYSTEM_ERROR, remark: `${route.name}: ${error.message}` }
    }
    this.#log.error({ err: error, code: command.code, peer: peer.remoteAddress }, 'process request exception')
    return {
      code: SYSTEM_ERROR,
      remark: shown(`${route.name}: ${error instanceof Error ? error.message : String(error)}`),
    }
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

function writeAnswer(declaration: RequestDeclaration, answer: GivenAnswer): ReplyParts {
  const given: { readonly header?: unknown; readonly body?: unknown } = answer
  const { body } = given
  return {
    code: answer.code ?? SUCCESS,
    remark: shown(answer.remark ?? null),
    // Java writes extFields, even empty ones, exactly when the response has a header class.
    extFields: declaration.reply?.header ? declaration.reply.header.encode((given.header ?? {}) as never) : null,
    body:
      body === undefined || body === null
        ? null
        : isBytes(body)
          ? body
          : (declaration.reply?.body?.encode(body) ?? null),
  }
}

// A remark may quote what the caller sent, and ends up in terminals and logs.
function shown(remark: string | null): string | null {
  return remark === null ? null : printableLines(remark)
}

function isBytes(body: unknown): body is BodyBytes {
  return body instanceof Uint8Array || (Array.isArray(body) && body[0] instanceof Uint8Array)
}

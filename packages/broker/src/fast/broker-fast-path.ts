import { type FastConnection, type FastPath, type HeaderView, NOT_TAKEN } from '@gantrymq/remoting'
import { PULL_MESSAGE, type PullPath } from './pull-path.ts'
import { SEND_MESSAGE, SEND_MESSAGE_V2, type SendPath } from './send-path.ts'

/** What a port serves without the router: the requests that make up nearly all of a broker's work. */
export class BrokerFastPath implements FastPath {
  readonly takesOneway = true
  readonly #sends: SendPath
  readonly #pulls: PullPath | undefined

  /** @param pulls Undefined for a port that serves no pulls. */
  constructor(sends: SendPath, pulls?: PullPath) {
    this.#sends = sends
    this.#pulls = pulls
  }

  take(view: HeaderView, connection: FastConnection): number {
    switch (view.code) {
      case SEND_MESSAGE:
      case SEND_MESSAGE_V2:
        return this.#sends.take(view, connection)
      case PULL_MESSAGE:
        return this.#pulls === undefined ? NOT_TAKEN : this.#pulls.take(view, connection)
      default:
        return NOT_TAKEN
    }
  }
}

import { type FastConnection, type FastPath, type HeaderView, NOT_TAKEN } from '@gantrymq/remoting'
import { SEND_MESSAGE, SEND_MESSAGE_V2, type SendPath } from './send-path.ts'

/** What a port serves without the router: the requests that make up nearly all of a broker's work. */
export class BrokerFastPath implements FastPath {
  readonly takesOneway = true
  readonly #sends: SendPath

  constructor(sends: SendPath) {
    this.#sends = sends
  }

  take(view: HeaderView, connection: FastConnection): number {
    const { code } = view
    if (code === SEND_MESSAGE || code === SEND_MESSAGE_V2) return this.#sends.take(view, connection)
    return NOT_TAKEN
  }
}

/** An answer that waits until something happens. Made by `held`. */
export class Held<T> {
  readonly answer: Promise<T>

  constructor(answer: Promise<T>) {
    this.answer = answer
  }
}

/** An answer that is there, one that takes some work, or one that is held. */
export type Eventual<T> = T | Held<T> | Promise<T | Held<T>>

/**
 * For a handler that answers when something happens and not when it has done some work: a long poll. Ask `peer.mayHold` first,
 * and answer at once if it is false: a connection holds up to `maxHeld` requests.
 *
 * A held request does not count towards `maxAnswering`, a connection that closes does not wait for it, and it is not timed. The
 * memory of its frame is used again at once: the handler must copy what it keeps of the body, and hooks see its reply without
 * the body of the request. When the connection has ended, the answer is dropped.
 *
 * @param answer Settles as the promise of any other handler does: with an answer, or with a ResponseError to refuse.
 */
export function held<T>(answer: Promise<T>): Held<T> {
  return new Held(answer)
}

/** The answer itself, however long it is held. */
export function settled<T>(answer: Eventual<T>): Promise<T> {
  return Promise.resolve(answer).then(given => (given instanceof Held ? given.answer : given))
}

/** An answer that waits for an event. Created by `held`. */
export class Held<T> {
  readonly answer: Promise<T>

  constructor(answer: Promise<T>) {
    this.answer = answer
  }
}

/** An answer that is available, one that takes some work, or one that is held. */
export type Eventual<T> = T | Held<T> | Promise<T | Held<T>>

/**
 * For a handler that answers when an event occurs rather than when its work is done, such as a long poll. Check `peer.mayHold`
 * first, and answer at once if it is false: a connection holds up to `maxHeld` requests.
 *
 * A held request does not count towards `maxAnswering`, a closing connection does not wait for it, and it is not timed. The
 * memory of its frame is reused at once: the handler must copy what it keeps of the body, and hooks see the reply together with
 * the request without its body. If the connection has ended, the answer is dropped.
 *
 * @param answer Resolves with an answer, or rejects with a ResponseError to refuse, like the promise of any other handler.
 */
export function held<T>(answer: Promise<T>): Held<T> {
  return new Held(answer)
}

/** Resolves with the answer, even if it is held. */
export function settled<T>(answer: Eventual<T>): Promise<T> {
  return Promise.resolve(answer).then(given => (given instanceof Held ? given.answer : given))
}

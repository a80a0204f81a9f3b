import { Duplex } from 'node:stream'

/** A stream that discards writes at once. */
export function hole(): Duplex {
  return new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(),
    writev: (_chunks, done) => done(),
  })
}

/** For connections in a loop that measures them: the loop is one turn of the event loop, however long it takes. */
export const endlessTurn = { isOver: () => false, later: () => {}, forget: () => {} }

import { Duplex } from 'node:stream'

/** A stream that discards writes at once. */
export function hole(): Duplex {
  return new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(),
    writev: (_chunks, done) => done(),
  })
}

import { Duplex } from 'node:stream'

/** A stream that swallows what is written, at once. */
export function hole(): Duplex {
  return new Duplex({
    read() {},
    write: (_chunk, _encoding, done) => done(),
    writev: (_chunks, done) => done(),
  })
}

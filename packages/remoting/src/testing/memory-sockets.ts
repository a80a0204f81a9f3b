import { type Duplex, duplexPair } from 'node:stream'
import { setImmediate } from 'node:timers'

/** Two ends of a connection without a network. When one end is destroyed, so is the other, as with sockets. */
export function memorySockets(): [Duplex, Duplex] {
  const [near, far] = duplexPair()
  near.once('close', () => setImmediate(() => far.destroy()))
  far.once('close', () => setImmediate(() => near.destroy()))
  return [near, far]
}

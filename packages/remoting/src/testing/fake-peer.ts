import type { Peer } from '../request.ts'

/** A peer without a connection, for handlers that are called directly. Every call to it fails; one-way requests are dropped. */
export function fakePeer(given: Partial<Peer> = {}): Peer {
  return {
    id: 1,
    remoteAddress: '127.0.0.1:5000',
    isOpen: true,
    mayHold: true,
    isBehind: false,
    call: () => Promise.reject(new Error('a fake peer answers no calls')),
    oneway: () => {},
    destroy: () => {},
    ...given,
  }
}

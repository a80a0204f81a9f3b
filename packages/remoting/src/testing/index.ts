export { fakePeer } from './fake-peer.ts'
export { ManualClock } from './manual-clock.ts'
export { memorySockets } from './memory-sockets.ts'
export { type Numbers, numbersFrom } from './numbers.ts'

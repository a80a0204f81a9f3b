export { HandClock } from './clock.ts'
export { type GoldenExchange, type GoldenFrame, goldenExchanges, goldenFrames } from './golden.ts'
export { memorySockets } from './memory-sockets.ts'

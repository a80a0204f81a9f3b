export { type BodySample, clientBodySamples } from './body-samples.ts'
export {
  describeFailure,
  failsWith,
  type FuzzFailure,
  fuzzLarge,
  fuzzOnce,
  type FuzzTarget,
  inputOf,
  outcome,
} from './fuzz/fuzz-target.ts'
export { fuzzTests } from './fuzz/fuzz-tests.ts'
export { Random } from './fuzz/random.ts'
export {
  type GoldenExchange,
  type GoldenFrame,
  type GoldenSend,
  type GoldenSignedRequest,
  goldenExchanges,
  goldenFrames,
  goldenSends,
  goldenSignedRequests,
} from './golden.ts'

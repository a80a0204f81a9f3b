export {
  bytes,
  flag,
  host,
  int,
  type Kind,
  millis,
  never,
  orNone,
  path,
  ranges,
  seconds,
  text,
  word,
} from './options/kinds.ts'
export { type Option, option, type OptionFacts, type WhenChangeable } from './options/option.ts'

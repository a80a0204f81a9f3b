export { isAlive, keepAside, replaceFile, type TableFiles } from './files/replace-file.ts'
export { loadTable, type TableFileOptions } from './files/table-file.ts'
export type { Health, Readiness } from './http/health.ts'
export { HttpEndpoint, type HttpEndpointOptions, type HttpLimits } from './http/http-endpoint.ts'
export type { OtherServer } from './http/index-page.ts'
export {
  jsonListPage,
  jsonPage,
  jsonTextPage,
  type Page,
  type PageRequest,
  Refusal,
  type RefusalCode,
  refusalPage,
  textPage,
} from './http/page.ts'
export { type PageArguments, Pages, type PagesOptions, type ServerPage } from './http/pages.ts'
export { checkParameters, type PageQuery, type Part, pickPart, readPageQuery } from './http/paging.ts'
export { Histogram, isLabel, LabelledCounter, NameLimit } from './metrics/counters.ts'
export { EventLoopDelay } from './metrics/event-loop-delay.ts'
export {
  type HistogramSample,
  type Labels,
  type MetricFamily,
  type MetricSource,
  type MetricsPage,
  type Sample,
  singleSeries,
} from './metrics/family.ts'
export { type CodeNames, RpcLatency } from './metrics/rpc-latency.ts'
export {
  bytes,
  flag,
  host,
  hostNames,
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
export {
  type AnyOption,
  type GivenOptions,
  type OptionGroup,
  type OptionName,
  OptionSet,
  type OptionSetParts,
  type OptionTable,
  type ValuesOf,
} from './options/option-set.ts'
export { type Option, option, type OptionFacts, type WhenChangeable } from './options/option.ts'
export {
  nettyServerConfig,
  ONE_THREAD,
  servingOptions,
  type ServingOptions,
  systemProperties,
} from './options/serving-options.ts'
export { storeInFile } from './options/settings-file.ts'
export { type ChangeableOptions, ServerSettings, type SettingsParts } from './options/settings.ts'
export { findOptions, type FoundOptions, type OptionSources, type Origin, type Problem } from './options/sources.ts'
export { httpProtocols, idleMsOf, limitsOf, openServerTls, type OpenServerTls } from './serving.ts'
export { encodeInSlices, inSlices } from './slices.ts'
export { TurnBudget, type TurnBudgetOptions } from './turn-budget.ts'
export { VERSION } from './version.ts'

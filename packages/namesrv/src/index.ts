export { ignoredProperties } from './ignored-properties.ts'
export type { MetricsPage } from './http/pages.ts'
export type { HistogramSample, Labels, MetricFamily, MetricSource, Sample } from './metrics/family.ts'
export { findOptions, type FoundOptions, type OptionSources, type Origin, type Problem } from './option-sources.ts'
export { optionGroups, optionTable } from './option-table.ts'
export {
  type AnyOption,
  flagOf,
  type GivenOptions,
  type NameServerOptions,
  type OptionName,
  optionNames,
  optionOf,
  propertyOf,
  shownValue,
  variableOf,
} from './options.ts'
export { RouteTable, type RouteTableOptions } from './registry/route-table.ts'
export type { BrokerRegistration, RegistrationHead, RegistrationLimits } from './registry/registration.ts'
export { type Address, type CloseOptions, NameServer, type NameServerParts, type StartOptions } from './name-server.ts'
export type { BrokerView } from './registry/broker-changes.ts'
export type { NameServerStatus, Readiness } from './status.ts'

export type {
  HistogramSample,
  Labels,
  MetricFamily,
  MetricSource,
  MetricsPage,
  Readiness,
  Sample,
} from '@gantrymq/daemon'
export { type NameServerOptions, nameServerOptions } from './options.ts'
export { RouteTable, type RouteTableOptions } from './registry/route-table.ts'
export type { BrokerRegistration, RegistrationHead, RegistrationLimits } from './registry/registration.ts'
export { type Address, type CloseOptions, NameServer, type NameServerParts, type StartOptions } from './name-server.ts'
export type { BrokerView } from './registry/broker-changes.ts'
export type { NameServerStatus } from './status.ts'

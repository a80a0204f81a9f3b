import type { Health } from '@gantrymq/daemon'

/** What the HTTP pages and the metrics read from a broker. Every method is synchronous and cheap. */
export interface BrokerStatus extends Health {
  readonly brokerName: string
  readonly clusterName: string
}

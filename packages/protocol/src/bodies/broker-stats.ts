import { type Bean, doubleOf, type JsonObject, numberOf, objectOf } from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'

/** A counter over a span of time: Apache's BrokerStatsItem. */
export interface StatsItem {
  readonly sum: number
  /** Per second. */
  readonly tps: number
  /** The average of a value. */
  readonly avgpt: number
}

/** A counter over the last minute, hour and day: Apache's BrokerStatsData. */
export interface BrokerStats {
  readonly statsMinute: StatsItem
  readonly statsHour: StatsItem
  readonly statsDay: StatsItem
}

function itemBean({ avgpt, sum, tps }: StatsItem): Bean {
  return { avgpt, sum, tps }
}

function readItem(object: JsonObject, name: string): StatsItem {
  const item = objectOf(object, name) ?? new Map()
  return { sum: numberOf(item, 'sum', 0), tps: doubleOf(item, 'tps'), avgpt: doubleOf(item, 'avgpt') }
}

export const brokerStatsBody = jsonBody<BrokerStats>(
  'BrokerStatsData',
  ({ statsDay, statsHour, statsMinute }) => ({
    statsDay: itemBean(statsDay),
    statsHour: itemBean(statsHour),
    statsMinute: itemBean(statsMinute),
  }),
  object => ({
    statsMinute: readItem(object, 'statsMinute'),
    statsHour: readItem(object, 'statsHour'),
    statsDay: readItem(object, 'statsDay'),
  }),
)

/*
 * Requests of Apache's broker that this one does not serve. They are answered with code 3, as a broker of Apache answers a code
 * that it does not know, and with the reason.
 */

const ACCESS_CONTROL = 'this broker has no access control'
const STATIC_TOPICS = 'this broker has no static topics'
const REPLICATION = 'this broker has no slaves and no controller'
const CONTAINER = 'this broker is no container of brokers'
const COLD_DATA = 'this broker does not limit the reading of cold data'
const FILTER_SERVERS = 'this broker has no filter servers'
const TIMER_FILES = 'this broker knows the times of messages in memory only'
const POP_STORE = 'this broker knows what was popped in memory only'
const LITE_TOPICS = 'this broker has no lite topics'
const ROCKSDB = 'this broker stores nothing in RocksDB'

const reasons: readonly (readonly [codes: readonly number[], reason: string])[] = [
  [[50, 51, 52, 53, 54, 3001, 3002, 3003, 3004, 3005, 3006, 3007, 3008, 3009, 3010], ACCESS_CONTROL],
  [[60, 61, 5001], TIMER_FILES],
  [[402, 905, 906, 907, 908, 1007, 1008], REPLICATION],
  [[301], FILTER_SERVERS],
  [[354, 355], ROCKSDB],
  [[513], STATIC_TOPICS],
  [[902, 903], CONTAINER],
  [[2001, 2002, 2003, 2004], COLD_DATA],
  [[200056], POP_STORE],
  [[200070, 200071, 200072, 200073, 200074, 200075, 200076, 200077, 200078, 200079], LITE_TOPICS],
]

/** Why requests are not served, by their code. */
export const refusedRequests: ReadonlyMap<number, string> = new Map(
  reasons.flatMap(([codes, reason]) => codes.map(code => [code, reason] as const)),
)

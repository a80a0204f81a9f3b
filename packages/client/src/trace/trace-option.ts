import { custom } from '../options.ts'

/** Where RocketMQ's own message trace goes: the cluster's trace topic, or one of your own. */
export interface TraceTarget {
  readonly topic: string
}

const isTarget = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && typeof (value as { topic?: unknown }).topic === 'string'

/** The option of producers and consumers that turns RocketMQ's message trace on. */
export const traceOption = custom<boolean | TraceTarget>(
  false,
  'enableTrace',
  'true, false or { topic }',
  value => typeof value === 'boolean' || isTarget(value),
)

const TRACE_TOPIC = 'RMQ_SYS_TRACE_TOPIC'

/** The topic that an option names; undefined where nothing is traced. */
export function traceTopicOf(option: boolean | TraceTarget): string | undefined {
  if (option === false) return undefined
  return option === true || option.topic === '' ? TRACE_TOPIC : option.topic
}

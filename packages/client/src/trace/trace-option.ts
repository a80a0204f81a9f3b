import { custom } from '../options.ts'

/** The topic for RocketMQ's message trace, if it is not the cluster's trace topic. */
export interface TraceTarget {
  readonly topic: string
}

const isTarget = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && typeof (value as { topic?: unknown }).topic === 'string'

/** The option of producers and consumers that turns on RocketMQ's message trace. */
export const traceOption = custom<boolean | TraceTarget>(
  false,
  'enableTrace',
  'true, false or { topic }',
  value => typeof value === 'boolean' || isTarget(value),
)

const TRACE_TOPIC = 'RMQ_SYS_TRACE_TOPIC'

/** The trace topic; undefined if the trace is off. */
export function traceTopicOf(option: boolean | TraceTarget): string | undefined {
  if (option === false) return undefined
  return option === true || option.topic === '' ? TRACE_TOPIC : option.topic
}

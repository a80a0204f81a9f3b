import { silent } from '@gantrymq/remoting'
import { unwrapNamespace } from '@gantrymq/protocol'
import { guardedLog } from '../instance/guarded-log.ts'
import type { InstanceOptions } from '../instance/instance-options.ts'
import { ConsumerTrace } from './consumer-trace.ts'
import { TraceDispatcher, type TraceSender } from './dispatcher.ts'
import { ProducerTrace } from './producer-trace.ts'
import { type TraceTarget, traceTopicOf } from './trace-option.ts'

/** The options of the producer of trace messages. */
export interface TraceProducerOptions {
  readonly group: string
  readonly timeoutMs: number
  readonly nameServers: InstanceOptions['nameServers']
  readonly credentials: InstanceOptions['credentials']
  readonly onRequest: InstanceOptions['onRequest']
  readonly tls: InstanceOptions['tls']
  readonly namespaceV2: string
  readonly zone: string
  readonly zoneMode: string
  readonly instanceName: string
  readonly clientIp: string
  readonly unitName: string
  readonly dial: InstanceOptions['dial']
  readonly clock: InstanceOptions['clock']
  readonly log: InstanceOptions['log']
}

/** `Producer.start`. A parameter, because the producer imports this file. */
export type StartTraceProducer = (options: TraceProducerOptions) => Promise<TraceSender>

type TracedSettings = InstanceOptions & { readonly trace: boolean | TraceTarget }

/** How long closing waits for the remaining trace messages, milliseconds. As in Apache's 5.x client. */
export const TRACE_DRAIN_MS = 5000

/** The prefix of the groups that send trace messages, as in Apache's client. */
export const TRACE_GROUP_PREFIX = '_INNER_TRACE_PRODUCER-'

const SEND_MS = 5000
const MAX_GROUP = 200

let count = 0

/** The trace of a producer; undefined if option trace is off. `group` may have the namespace. */
export function producerTrace(
  settings: TracedSettings,
  group: string,
  start: StartTraceProducer,
): ProducerTrace | undefined {
  const dispatcher = dispatcherOf(settings, group, 'PRODUCE', start)
  return dispatcher === undefined ? undefined : new ProducerTrace(dispatcher, settings.clock, settings.namespace, group)
}

/** The trace of a consumer; undefined if option trace is off. `group` may have the namespace. */
export function consumerTrace(
  settings: TracedSettings,
  group: string,
  start: StartTraceProducer,
): ConsumerTrace | undefined {
  const dispatcher = dispatcherOf(settings, group, 'CONSUME', start)
  return dispatcher === undefined ? undefined : new ConsumerTrace(dispatcher, settings.clock, settings.namespace, group)
}

function dispatcherOf(
  settings: TracedSettings,
  group: string,
  type: 'PRODUCE' | 'CONSUME',
  start: StartTraceProducer,
): TraceDispatcher | undefined {
  const topic = traceTopicOf(settings.trace)
  if (topic === undefined) return undefined
  const { clock, log, namespace } = settings
  // The name in Apache's AsyncTraceDispatcher.genGroupNameForTrace.
  const owner = unwrapNamespace(namespace, group).slice(0, MAX_GROUP)
  const name = `${TRACE_GROUP_PREFIX}${owner}-${type}-${++count}`
  return new TraceDispatcher({
    topic,
    clock,
    log: guardedLog(log === false ? silent : log),
    open: () => start(innerOptions(settings, name)),
  })
}

// Without the namespace, because the trace topic belongs to the cluster. With the options of the traced client it can share
// that client's connections; Apache's has an instance of its own.
function innerOptions(settings: TracedSettings, group: string): TraceProducerOptions {
  const { nameServers, credentials, onRequest, tls, namespaceV2, zone, zoneMode } = settings
  const { instanceName, clientIp, unitName, dial, clock, log } = settings
  const cluster = { nameServers, credentials, onRequest, tls, namespaceV2, zone, zoneMode }
  return { ...cluster, instanceName, clientIp, unitName, dial, clock, log, group, timeoutMs: SEND_MS }
}

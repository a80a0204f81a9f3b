import { performance } from 'node:perf_hooks'
import type { ConsumeEvent, PullEvent, SendEvent } from '@gantrymq/client'
import {
  type Attributes,
  type Context,
  context,
  type Link,
  type Meter,
  type MeterProvider,
  metrics,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api'
import {
  errorType,
  messageAttributes,
  metricAttributes,
  type Operation,
  processAttributes,
  processOperation,
  receiptAttributes,
  receiveAttributes,
  receiveOperation,
  sendAttributes,
  sendOperation,
} from './attributes.ts'
import { watch } from './watch.ts'

/** The providers of spans and metrics. */
export interface InstrumentOptions {
  /** Default: the global provider. */
  readonly tracerProvider?: TracerProvider | undefined
  /** Default: the global provider. */
  readonly meterProvider?: MeterProvider | undefined
}

const NAME = '@gantrymq/opentelemetry'
const VERSION = '0.1.0'

/** The bucket boundaries of the messaging conventions, in seconds. */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]

/**
 * Creates spans and metrics of all clients in this process, by OpenTelemetry's messaging conventions: `send {topic}`,
 * `receive {topic}`, `process {topic}`. Trace contexts are passed on in the messages' properties, as the global propagator
 * writes them, and listeners run in the context of their span. Ends when the result is disposed.
 */
export function instrument({ tracerProvider, meterProvider }: InstrumentOptions = {}): Disposable {
  const tracer = (tracerProvider ?? trace).getTracer(NAME, VERSION)
  const meter = (meterProvider ?? metrics).getMeter(NAME, VERSION)
  const meters = metersOf(meter)
  const watches = [watchSends(tracer, meters), watchPulls(tracer, meters), watchListeners(tracer, meters)]
  return {
    [Symbol.dispose]() {
      for (const each of watches) each[Symbol.dispose]()
    },
  }
}

// -- Metrics ---------------------------------------------------------------------------------------------------------

type Meters = ReturnType<typeof metersOf>

function metersOf(meter: Meter) {
  const seconds = { unit: 's', advice: { explicitBucketBoundaries: BUCKETS } }
  const calls = meter.createHistogram('messaging.client.operation.duration', {
    ...seconds,
    description: 'Duration of sends and receives.',
  })
  const listeners = meter.createHistogram('messaging.process.duration', {
    ...seconds,
    description: 'Duration of calls of listeners.',
  })
  const sent = meter.createCounter('messaging.client.sent.messages', {
    unit: '{message}',
    description: 'Messages that were sent or failed to be sent.',
  })
  const consumed = meter.createCounter('messaging.client.consumed.messages', {
    unit: '{message}',
    description: 'Messages that were passed to listeners.',
  })
  return { calls, listeners, sent, consumed }
}

// -- Spans -----------------------------------------------------------------------------------------------------------

interface OpenSpan {
  readonly span: Span
  readonly started: number
}

function secondsSince(started: number): number {
  return (performance.now() - started) / 1000
}

/** Ends a span and returns the attributes for metrics. */
function finish(span: Span, operation: Operation, failure: { readonly error: unknown } | undefined): Attributes {
  const attributes = metricAttributes(operation)
  if (failure !== undefined) {
    const { error } = failure
    attributes['error.type'] = errorType(error)
    span.setAttribute('error.type', errorType(error))
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) })
    if (error instanceof Error) span.recordException(error)
  }
  span.end()
  return attributes
}

// Message properties must not be blank.
const intoProperties = {
  set(properties: Record<string, string>, name: string, value: string) {
    if (value.trim() !== '') properties[name] = value
  },
}

const fromProperties = {
  keys: (properties: ReadonlyMap<string, string>) => [...properties.keys()],
  get: (properties: ReadonlyMap<string, string>, name: string) => properties.get(name),
}

function watchSends(tracer: Tracer, { calls, sent }: Meters): Disposable {
  return watch<SendEvent, OpenSpan>('gantrymq:client:send', {
    begin(event) {
      const attributes = sendAttributes(event)
      const span = tracer.startSpan(`send ${event.topic}`, { kind: SpanKind.PRODUCER, attributes })
      propagation.inject(trace.setSpan(context.active(), span), event.properties, intoProperties)
      return { span, started: performance.now() }
    },
    end(event, { span, started }, failure) {
      span.setAttributes(receiptAttributes(event))
      const attributes = finish(span, sendOperation(event), failure)
      calls.record(secondsSince(started), attributes)
      sent.add(event.count, attributes)
    },
  })
}

// Most pulls wait for seconds and find nothing. Only those that return messages or fail get a span.
function watchPulls(tracer: Tracer, { calls }: Meters): Disposable {
  return watch<PullEvent, { readonly started: number; readonly startTime: number }>('gantrymq:client:pull', {
    begin: () => ({ started: performance.now(), startTime: Date.now() }),
    end(event, { started, startTime }, failure) {
      if (event.found !== true && failure === undefined) return
      const options = { kind: SpanKind.CLIENT, attributes: receiveAttributes(event), startTime }
      const span = tracer.startSpan(`receive ${event.queue.topic}`, options, ROOT_CONTEXT)
      calls.record(secondsSince(started), finish(span, receiveOperation(event), failure))
    },
  })
}

function watchListeners(tracer: Tracer, { listeners, consumed }: Meters): Disposable {
  return watch<ConsumeEvent, OpenSpan>('gantrymq:client:consume', {
    begin(event) {
      const { parent, links } = originOf(event)
      const options = { kind: SpanKind.CONSUMER, attributes: processAttributes(event), links }
      const span = tracer.startSpan(`process ${event.topic}`, options, parent)
      runInside(event, trace.setSpan(parent, span))
      return { span, started: performance.now() }
    },
    end(event, { span, started }, failure) {
      const attributes = finish(span, processOperation(event), failure)
      listeners.record(secondsSince(started), attributes)
      consumed.add(event.messages.length, attributes)
    },
  })
}

// A single message continues its sender's trace. A batch has several senders, so its span is linked to their traces.
function originOf({ messages }: ConsumeEvent): { readonly parent: Context; readonly links: Link[] } {
  const [first] = messages
  if (messages.length === 1 && first !== undefined) {
    return { parent: propagation.extract(ROOT_CONTEXT, first.properties, fromProperties), links: [] }
  }
  const links: Link[] = []
  for (const message of messages) {
    const origin = trace.getSpanContext(propagation.extract(ROOT_CONTEXT, message.properties, fromProperties))
    if (origin !== undefined) links.push({ context: origin, attributes: messageAttributes(message) })
  }
  return { parent: ROOT_CONTEXT, links }
}

function runInside(event: ConsumeEvent, inside: Context): void {
  const { around } = event
  event.around = call => context.with(inside, () => (around === undefined ? call() : around(call)))
}

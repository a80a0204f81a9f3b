import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { type TestContext, test } from 'node:test'
import { Producer, type ProducerOptions, PushConsumer, type PushConsumerOptions } from '@gantrymq/client'
import { type TestCluster, testCluster } from '@gantrymq/testkit/cluster'
import {
  type Attributes,
  type Context,
  type ContextManager,
  context,
  createNoopMeter,
  isSpanContextValid,
  type Meter,
  type MeterProvider,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  type TextMapPropagator,
  trace,
} from '@opentelemetry/api'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { instrument } from './instrument.ts'

/** A context manager that follows promises, as the SDK's for Node does. */
class Contexts implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>()

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    inside: Context,
    run: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(inside, () => run.call(thisArg as never, ...args))
  }

  bind<T>(_inside: Context, target: T): T {
    return target
  }

  enable(): this {
    return this
  }

  disable(): this {
    this.#storage.disable()
    return this
  }
}

/** A propagator for W3C's traceparent, as far as these tests need it. */
const traceparent: TextMapPropagator = {
  fields: () => ['traceparent'],
  inject(from, carrier, setter) {
    const found = trace.getSpanContext(from)
    if (found === undefined || !isSpanContextValid(found)) return
    setter.set(carrier, 'traceparent', `00-${found.traceId}-${found.spanId}-01`)
    setter.set(carrier, 'tracestate', '')
  },
  extract(into, carrier, getter) {
    const [, traceId = '', spanId = ''] = String(getter.get(carrier, 'traceparent') ?? '').split('-')
    const found = { traceId, spanId, traceFlags: 1, isRemote: true }
    return isSpanContextValid(found) ? trace.setSpanContext(into, found) : into
  },
}

interface Measured {
  readonly metric: string
  readonly value: number
  readonly attributes: Attributes
}

/** A meter that keeps its measurements. */
function meterProvider(into: Measured[]): MeterProvider {
  const noop = createNoopMeter()
  const note =
    (metric: string) =>
    (value: number, attributes: Attributes = {}) =>
      void into.push({ metric, value, attributes })
  const meter: Meter = Object.create(noop, {
    createHistogram: { value: (metric: string) => ({ record: note(metric) }) },
    createCounter: { value: (metric: string) => ({ add: note(metric) }) },
  }) as Meter
  return { getMeter: () => meter }
}

async function instrumented(t: TestContext) {
  const exporter = new InMemorySpanExporter()
  const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
  const measured: Measured[] = []
  context.setGlobalContextManager(new Contexts())
  propagation.setGlobalPropagator(traceparent)
  const instrumentation = instrument({ tracerProvider, meterProvider: meterProvider(measured) })
  t.after(() => {
    instrumentation[Symbol.dispose]()
    context.disable()
    propagation.disable()
  })
  const cluster = await testCluster(t)
  await cluster.broker.setTopic('Orders', { readQueues: 1 })
  const spans = (name: string) => exporter.getFinishedSpans().filter(span => span.name === name)
  return { cluster, spans, measured, tracer: tracerProvider.getTracer('test'), instrumentation }
}

async function producing(cluster: TestCluster, options: Partial<ProducerOptions> = {}): Promise<Producer> {
  const { nameServerList: nameServers, clock, dial } = cluster
  return cluster.own(await cluster.outcome(Producer.start({ nameServers, clock, dial, group: 'orders', ...options })))
}

async function consuming(cluster: TestCluster, options: Partial<PushConsumerOptions>): Promise<PushConsumer> {
  const { nameServerList: nameServers, clock, dial } = cluster
  const shared = { nameServers, clock, dial, group: 'billing', subscriptions: { Orders: '*' } }
  return cluster.own(await cluster.outcome(PushConsumer.start({ ...shared, consumeFrom: 'first', ...options })))
}

test('a send is a producer span with the attributes of the conventions', async t => {
  const { cluster, spans, measured } = await instrumented(t)
  const producer = await producing(cluster)
  const message = { topic: 'Orders', body: 'hello', tags: 'new', keys: ['42'], delayLevel: 3 }
  const receipt = await cluster.outcome(producer.send(message))
  const [span] = spans('send Orders')
  assert.equal(span?.kind, SpanKind.PRODUCER)
  assert.deepEqual(span?.attributes, {
    'messaging.system': 'rocketmq',
    'messaging.operation.name': 'send',
    'messaging.operation.type': 'send',
    'messaging.destination.name': 'Orders',
    'messaging.destination.partition.id': 'broker-a/0',
    'messaging.client.id': producer.clientId,
    'messaging.message.id': receipt.messageId,
    'messaging.message.body.size': 5,
    'messaging.rocketmq.message.type': 'delay',
    'messaging.rocketmq.message.tag': 'new',
    'messaging.rocketmq.message.keys': ['42'],
    'messaging.rocketmq.message.delay_time_level': 3,
  })
  const names = measured.map(({ metric }) => metric).toSorted()
  assert.deepEqual(names, ['messaging.client.operation.duration', 'messaging.client.sent.messages'])
})

test('a batch is one span with the number of its messages, and each message has the trace context', async t => {
  const { cluster, spans, measured } = await instrumented(t)
  const producer = await producing(cluster)
  await cluster.outcome(producer.sendBatch(['a', 'b', 'c'].map(body => ({ topic: 'Orders', body }))))
  const [span] = spans('send Orders')
  assert.equal(span?.attributes['messaging.batch.message_count'], 3)
  const sent = measured.find(({ metric }) => metric === 'messaging.client.sent.messages')
  assert.equal(sent?.value, 3)
  const stored = cluster.broker.messages('Orders').map(({ properties }) => properties.get('traceparent'))
  const expected = `00-${span?.spanContext().traceId}-${span?.spanContext().spanId}-01`
  assert.deepEqual(stored, [expected, expected, expected])
})

test('the span of a failed send has the kind of its error', async t => {
  const { cluster, spans, measured } = await instrumented(t)
  const producer = await producing(cluster, { retries: 0 })
  cluster.broker.fault('SEND_MESSAGE_V2', { answer: 'code', code: 13, remark: 'illegal' })
  await assert.rejects(cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' })))
  const [span] = spans('send Orders')
  assert.equal(span?.status.code, SpanStatusCode.ERROR)
  assert.equal(span?.attributes['error.type'], 'BROKER_REFUSED')
  assert.equal(measured[0]?.attributes['error.type'], 'BROKER_REFUSED')
})

test('a trace continues from the caller through the message to the listener, which runs in its context', async t => {
  const { cluster, spans, tracer } = await instrumented(t)
  const producer = await producing(cluster)
  const heard: (string | undefined)[] = []
  await consuming(cluster, {
    onMessage: async () => {
      await Promise.resolve()
      heard.push(trace.getSpan(context.active())?.spanContext().spanId)
    },
  })
  const caller = tracer.startSpan('order')
  const sending = context.with(trace.setSpan(context.active(), caller), () =>
    producer.send({ topic: 'Orders', body: 'hello', keys: 'k1 k2' }),
  )
  caller.end()
  const receipt = await cluster.outcome(sending)
  await cluster.until(() => spans('process Orders').length > 0, { stepMs: 50 })
  const [sent] = spans('send Orders')
  const [processed] = spans('process Orders')
  assert.equal(sent?.parentSpanContext?.spanId, caller.spanContext().spanId)
  assert.equal(processed?.kind, SpanKind.CONSUMER)
  assert.equal(processed?.parentSpanContext?.spanId, sent?.spanContext().spanId)
  assert.equal(processed?.spanContext().traceId, caller.spanContext().traceId)
  assert.deepEqual(heard, [processed?.spanContext().spanId])
  const attributes = processed?.attributes ?? {}
  assert.equal(attributes['messaging.message.id'], receipt.messageId)
  assert.equal(attributes['messaging.consumer.group.name'], 'billing')
  assert.equal(attributes['messaging.rocketmq.consumption_model'], 'clustering')
  assert.deepEqual(attributes['messaging.rocketmq.message.keys'], ['k1', 'k2'])
  const [received] = spans('receive Orders')
  assert.equal(received?.kind, SpanKind.CLIENT)
})

test('the span of a listener with several messages is linked to the traces of all senders', async t => {
  const { cluster, spans } = await instrumented(t)
  const producer = await producing(cluster)
  for (const body of ['a', 'b']) await cluster.outcome(producer.send({ topic: 'Orders', body }))
  await consuming(cluster, { batchSize: 10, onMessages: () => undefined })
  await cluster.until(() => spans('process Orders').length > 0, { stepMs: 50 })
  const [processed] = spans('process Orders')
  assert.equal(processed?.parentSpanContext, undefined)
  assert.deepEqual(
    processed?.links.map(link => link.context.spanId),
    spans('send Orders').map(span => span.spanContext().spanId),
  )
  assert.equal(processed?.attributes['messaging.batch.message_count'], 2)
})

test('when a listener throws, its span ends with the error', async t => {
  const { cluster, spans } = await instrumented(t)
  const producer = await producing(cluster)
  await consuming(cluster, {
    onMessage: () => {
      throw new TypeError('no such order')
    },
  })
  await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  await cluster.until(() => spans('process Orders').length > 0, { stepMs: 50 })
  const [processed] = spans('process Orders')
  assert.equal(processed?.attributes['error.type'], 'TypeError')
  assert.equal(processed?.status.code, SpanStatusCode.ERROR)
})

test('the namespace is an attribute and not part of the topic', async t => {
  const { cluster, spans } = await instrumented(t)
  await cluster.broker.setTopic('shop%Orders', { readQueues: 1 })
  const producer = await producing(cluster, { namespace: 'shop' })
  await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  assert.equal(spans('send Orders')[0]?.attributes['messaging.rocketmq.namespace'], 'shop')
})

test('after it is disposed there are no spans, and nothing is added to messages', async t => {
  const { cluster, spans, instrumentation } = await instrumented(t)
  const producer = await producing(cluster)
  instrumentation[Symbol.dispose]()
  instrumentation[Symbol.dispose]()
  await cluster.outcome(producer.send({ topic: 'Orders', body: 'hello' }))
  assert.equal(spans('send Orders').length, 0)
  assert.equal(cluster.broker.messages('Orders')[0]?.properties.has('traceparent'), false)
})

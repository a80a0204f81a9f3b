// Observes the client: diagnostics channels, RocketMQ's message trace, a logger.
import { tracingChannel } from 'node:diagnostics_channel'
import { Producer, PushConsumer, type SendEvent } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'

// Sends publish events only if the channel has subscribers.
tracingChannel<unknown, SendEvent>('gantrymq:client:send').subscribe({
  start: event => void (event.properties['sentBy'] = 'example 21'),
  end() {},
  asyncStart() {},
  asyncEnd: ({ topic, receipt }) => console.log(`sent to ${topic}: ${receipt?.messageId}`),
  error: ({ topic, error }) => console.log(`not sent to ${topic}: ${String(error)}`),
})

// `trace: true` writes to RMQ_SYS_TRACE_TOPIC, if the broker has it (traceTopicEnable). Dashboards show the sends and deliveries.
await using producer = await Producer.start({ nameServers, group: 'example-tracing', trace: true })
await producer.send({ topic: 'ExampleTracing', body: 'hello', keys: 'order-42' })

const done = Promise.withResolvers<void>()
await using consumer = await PushConsumer.start({
  nameServers,
  group: 'example-tracing',
  subscriptions: { ExampleTracing: '*' },
  consumeFrom: 'first',
  trace: true,
  // A pino logger fits, too.
  log: { debug() {}, info: console.log, warn: console.warn, error: console.error },
  onMessage(message) {
    console.log(`sent by ${message.property('sentBy')}`)
    done.resolve()
  },
})
await done.promise
console.log(`consumed by ${consumer.clientId}`)

// Callers without types get the same answers as those with types: what is not known, or cannot mean what it says, is refused by name.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type RocketMQ, startRocketMQ } from '@gantrymq/testing'
import { Admin, LitePullConsumer, Producer, PullConsumer, PushConsumer, SimpleConsumer } from '../src/index.ts'

let mq: RocketMQ
let producer: Producer
let admin: Admin
before(async () => {
  mq = await startRocketMQ()
  producer = await Producer.start({ ...mq.connection, group: 'shop' })
  admin = await Admin.start(mq.connection)
})
after(async () => {
  await producer.close()
  await admin.close()
  await mq.close()
})

/* oxlint-disable typescript/no-explicit-any -- what callers without types pass */
type Any = any

const messages: readonly (readonly [fields: object, problem: RegExp])[] = [
  [{ tag: 'a' }, /a message has no field tag; did you mean tags\?/],
  [{ Tags: 'a' }, /no field Tags; did you mean tags\?/],
  [{ key: 'a' }, /no field key; did you mean keys\?/],
  [{ delayTimeLevel: 3 }, /no field delayTimeLevel; did you mean delayLevel\?/],
  [{ colour: 'red' }, /no field colour; there are topic, body, tags/],
  [{ tags: ' TagA' }, /the tag " TagA" of a message has blanks at its ends/],
  [{ tags: 'TagA\n' }, /blanks at its ends/],
  [{ tags: 'a || b' }, /has \|\|: no subscription can match it/],
  [{ tags: ['a'] }, /tags of a message must be a string: one tag, not an array/],
  [{ keys: ['order 1', 'b'] }, /the key "order 1" of a message has a blank/],
  [{ keys: ['', 'b'] }, /a key of a message must be a string that is not empty/],
  [{ keys: 5 }, /keys of a message must be a string or an array of strings, not 5/],
  [{ properties: { amount: 1 } }, /the property amount of a message must be a string, not 1/],
  [{ properties: { when: new Date(0) } }, /the property when of a message must be a string, not a Date/],
  [{ properties: { more: {} } }, /must be a string, not a value of type object/],
  [{ properties: ['a'] }, /properties of a message must be an object of strings, not an array/],
  [{ properties: { KEYS: 'a' } }, /the property KEYS of a message is RocketMQ's own/],
  [{ properties: { a: ' ' } }, /the property a of a message is blank: leave it out/],
  [{ delayLevel: 99 }, /delayLevel of a message must be a level from 0 to 18, not 99/],
  [{ delayLevel: '3' }, /delayLevel of a message must be a level from 0 to 18, not "3"/],
  [{ delayMs: -1 }, /delayMs of a message must be a whole number of 0 or more, not -1/],
  [{ flag: 'x' }, /flag of a message must be a 32-bit integer, not "x"/],
  [{ waitStored: 'no' }, /waitStored of a message must be true or false, not "no"/],
  [{ body: 5 }, /the body of a message must be bytes or a string, not 5; a codec/],
  [{ body: '' }, /the body of a message is empty/],
]

for (const [fields, problem] of messages) {
  test(`the message with ${JSON.stringify(fields)} is refused`, async () => {
    const message: Any = { topic: 'Orders', body: 'x', ...fields }
    for (const send of ['send', 'sendOneway'] as const) {
      await assert.rejects(producer[send](message), { code: 'MESSAGE_ILLEGAL', message: problem })
    }
    await assert.rejects(producer.sendBatch([message]), { code: 'MESSAGE_ILLEGAL', message: problem })
  })
}

test('unknown options of a call are refused, and queues with wrong fields', async () => {
  const send = (options: Any) => producer.send({ topic: 'Orders', body: 'x' }, options)
  await assert.rejects(send({ timeoutMS: 5 }), {
    code: 'BAD_OPTION',
    message: /a send: there is no option timeoutMS; did you mean timeoutMs\?/,
  })
  await assert.rejects(send({ queue: { topic: 'Orders', brokerName: 'broker-a', queueId: '1' } }), {
    code: 'BAD_OPTION',
    message: /queueId of option queue must be a whole number from 0 to 2147483647, not "1"/,
  })
  await assert.rejects(send({ queue: { topic: 'Orders', broker: 'broker-a', queueId: 1 } }), {
    message: /option queue has no field broker; did you mean brokerName\?/,
  })
})

const expressions: readonly (readonly [expression: Any, problem: RegExp])[] = [
  [{ tags: [] }, /names no tag: an empty list is no subscription, and '\*' is all messages/],
  [{ tags: [''] }, /has a tag that is none: ""/],
  [{ tags: ['a', 5] }, /has a tag that is none: 5/],
  [{ tags: 'a' }, /its tags are "a"/],
  [{ tag: ['a'] }, /has no field tag; did you mean tags\?/],
  [{ tags: ['a'], sql: 'b = 1' }, /has tags and sql/],
  ['* || TagA', /names \* among other tags/],
  [['a', 'b'], /must be '\*', tags such as .* not an array/],
  [5, /not 5/],
  [null, /not null/],
]

for (const [expression, problem] of expressions) {
  test(`the subscription ${JSON.stringify(expression)} is refused by every consumer`, async () => {
    const options = { ...mq.connection, group: 'g', subscriptions: { Orders: expression } }
    const expected = { code: 'BAD_OPTION', message: problem }
    await assert.rejects(PushConsumer.start({ ...options, onMessage() {} }), expected)
    await assert.rejects(LitePullConsumer.start(options), expected)
    await assert.rejects(SimpleConsumer.start(options), expected)
  })
}

test('a list of subscriptions is refused, and * with blanks means everything', async () => {
  const options: Any = { ...mq.connection, group: 'g', subscriptions: ['Orders'], onMessage() {} }
  const expected = {
    code: 'BAD_OPTION',
    message: /option subscriptions must be an object such as \{ Orders: '\*' \}, not an array/,
  }
  await assert.rejects(PushConsumer.start(options), expected)
  const { onMessage: _, ...rest } = options
  await assert.rejects(LitePullConsumer.start(rest), expected)
  await assert.rejects(SimpleConsumer.start(rest), expected)
  await assert.rejects(PullConsumer.start({ ...mq.connection, group: 'g', topics: 'Orders' as Any }), {
    message: /option topics must be an array of strings/,
  })
  await using consumer = await PushConsumer.start({ ...options, subscriptions: { Orders: ' * ' } })
  const [connection] = [await admin.consumers.connections('g')]
  assert.equal(connection.subscriptions.get('Orders')?.subString, '*')
  await consumer.close({ drainMs: 0 })
})

const topics: Any = () => admin.topics
const calls: readonly (readonly [what: string, call: () => Promise<unknown>, code: string, problem: RegExp])[] = [
  [
    'topics.create without a target',
    () => topics().create('X'),
    'BAD_OPTION',
    /admin\.topics\.create: target must be one of \{ broker: 'ip:port' \}.*and is missing\. It takes \(topic, target, settings\?, options\?\)/,
  ],
  [
    'topics.route without a topic',
    () => topics().route(),
    'BAD_NAME',
    /topic must be a string: the name of a topic, and is missing/,
  ],
  [
    'topics.create with an unknown setting',
    () => topics().create('X', { cluster: 'c' }, { queue: 4 }),
    'BAD_OPTION',
    /settings has no field queue; did you mean queues\?/,
  ],
  [
    'topics.create with too many arguments',
    () => topics().create('X', { cluster: 'c' }, {}, {}, 1),
    'BAD_OPTION',
    /and got more: 1/,
  ],
  [
    'arguments the other way round',
    () => (admin.config as Any).updateBroker({ brokerName: 'broker-a' }, { brokerPermission: '6' }),
    'BAD_OPTION',
    /target must be one of/,
  ],
  [
    'a query where a key is expected',
    () => (admin.messages as Any).byKey({ topic: 'T', key: 'k' }),
    'BAD_NAME',
    /topic must be a string/,
  ],
  [
    'a target with two fields',
    () => topics().config('X', { broker: 'a:1', cluster: 'c' }),
    'BAD_OPTION',
    /target must be one of/,
  ],
  [
    'a queue without an id',
    () => (admin.offsets as Any).min({ topic: 'T', brokerName: 'b' }),
    'BAD_OPTION',
    /queueId of queue must be .* and is missing/,
  ],
  [
    'a reset to a text',
    () => (admin.offsets as Any).reset({ group: 'g', topic: 'T', to: 'now' }),
    'BAD_OPTION',
    /to of reset must be a Date, 'begin' or 'end', not "now"/,
  ],
  [
    'an unknown option',
    () => (admin.stats as Any).ofGroup('g', { topics: 'T' }),
    'BAD_OPTION',
    /options has no field topics; did you mean topic\?/,
  ],
  [
    'a negative offset',
    () => (admin.offsets as Any).commit('g', { topic: 'T', brokerName: 'b', queueId: 0 }, -1),
    'BAD_OPTION',
    /offset must be a whole number of 0 or more, not -1/,
  ],
]

for (const [what, call, code, problem] of calls) {
  test(`of an administrator ${what} is refused with the parameters of the method`, async () => {
    await assert.rejects(call(), { name: 'ClientError', code, message: problem })
  })
}

test('names of other clients are answered with the name here', async () => {
  const start = (options: object) => Producer.start(options as Any)
  const refused = (options: object, message: RegExp) =>
    assert.rejects(start({ group: 'g', ...options }), { code: 'BAD_OPTION', message })
  await refused({ namesrvAddr: 'a:1' }, /no option namesrvAddr; this client calls it nameServers/)
  await refused({ sendMsgTimeout: 1 }, /this client calls it timeoutMs/)
  await refused({ producerGroup: 'g' }, /this client calls it group/)
  await refused({ retryTimesWhenSendFailed: 1 }, /this client calls it retries/)
})

test('credentials with blanks at their ends are refused, and so are paths where TLS wants contents', async () => {
  const start = (options: object) => Producer.start({ ...mq.connection, group: 'g', ...options })
  for (const credentials of [
    { accessKey: 'orders', secretKey: '12345678\n' },
    { accessKey: 'orders ', secretKey: '12345678' },
    { accessKey: '', secretKey: '' },
  ]) {
    await assert.rejects(start({ credentials }), (error: Error) => {
      assert.match(error.message, /without blanks or line feeds at their ends/)
      assert.doesNotMatch(error.message, /12345678/)
      return true
    })
  }
  await assert.rejects(start({ tls: { ca: '/etc/ssl/ca.pem' } }), {
    code: 'BAD_OPTION',
    message: /readFileSync\(path\), not their paths/,
  })
  await assert.rejects(start({ tls: { ca: ['/etc/ssl/ca.pem'] } }), { code: 'BAD_OPTION' })
})

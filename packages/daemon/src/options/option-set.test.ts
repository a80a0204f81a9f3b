import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverOptions } from '../../test/server-options.ts'

test('each option has a flag, a variable and a key', () => {
  assert.equal(serverOptions.flag('listenPort'), 'listen-port')
  assert.equal(serverOptions.variable('listenPort'), 'GANTRY_LISTEN_PORT')
  assert.equal(serverOptions.property('tlsServerMode'), 'tls.server.mode')
  assert.equal(serverOptions.flag('tlsServerMode'), 'tls-server-mode')
})

test('a key of a file sets an option by its property or its system property', () => {
  assert.equal(serverOptions.ofProperty('listenPort'), 'listenPort')
  assert.equal(serverOptions.ofProperty('tls.server.mode'), 'tlsServerMode')
  assert.equal(serverOptions.ofProperty('com.rocketmq.remoting.frameMaxLength'), 'maxFrameSize')
  assert.equal(serverOptions.ofProperty('tlsServerMode'), undefined)
  assert.equal(serverOptions.ofProperty('toString'), undefined)
})

test('the groups have every option once, in the order of the table', () => {
  assert.deepEqual(
    serverOptions.groups.flatMap(({ names }) => names),
    serverOptions.names,
  )
})

test('a value is shown as in a file, but a password never', () => {
  const options = serverOptions.resolve({ proxyProtocolRanges: ['10.0.0.0/8', '::1'], tlsServerKeyPassword: 'secret' })
  assert.equal(serverOptions.shown(options, 'proxyProtocolRanges'), '10.0.0.0/8,::1')
  assert.equal(serverOptions.shown(options, 'tlsServerKeyPassword'), '******')
  assert.equal(serverOptions.shown(options, 'rocketmqHome'), null)
})

test('options given by a program are checked like texts', () => {
  assert.equal(serverOptions.resolve({ listenPort: 0, httpPort: undefined }).listenPort, 0)
  assert.deepEqual(serverOptions.resolve({ proxyProtocolRanges: ['::1'] }).proxyProtocolRanges, ['::1'])
  const wrong: readonly [object, RegExp][] = [
    [
      { listenPort: 70_000 },
      /^RemotingError: the option listenPort is 70000: it must be a whole number from 0 to 65535$/,
    ],
    [{ listenPort: '9876' }, /listenPort is "9876"/],
    [{ listenPort: null }, /listenPort is null/],
    [{ maxConnections: Number.NaN }, /maxConnections is null/],
    [{ enableTopicList: 'yes' }, /enableTopicList is "yes": it must be true or false/],
    [{ proxyProtocolRanges: '::1' }, /proxyProtocolRanges is "::1"/],
    [{ tlsServerKeyPassword: '\0' }, /tlsServerKeyPassword is \*{6}:/],
    [{ listnPort: 1 }, /there is no option listnPort; did you mean listenPort\?/],
    [{ __proto__: null, ['toString']: 1 }, /there is no option toString/],
  ]
  for (const [given, message] of wrong) assert.throws(() => serverOptions.resolve(given), message)
})

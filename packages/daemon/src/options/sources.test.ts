import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { readProperties } from '@gantrymq/remoting'
import { type ServerOptions, serverOptions } from '../../test/server-options.ts'
import { findOptions, type OptionSources } from './sources.ts'

function find(sources: Partial<OptionSources<ServerOptions>> & { readonly text?: string }) {
  const { text, ...rest } = sources
  const file = text === undefined ? {} : { file: { path: 'ns.conf', entries: readProperties(Buffer.from(text)) } }
  return findOptions(serverOptions, { home: '/home/me', environment: {}, ...file, ...rest })
}

test('without sources every option has its default, with paths in the home folder', () => {
  const { options, origins, problems } = find({})
  assert.deepEqual(problems, [])
  assert.equal(options.listenPort, 9876)
  assert.equal(options.configStorePath, join('/home/me', 'server.properties'))
  assert.equal(options.rocketmqHome, null)
  assert.deepEqual(new Set(origins.values()), new Set(['default']))
  assert.ok(Object.isFrozen(options))
})

test('a flag overrides the environment, the environment the file, and the file the default', () => {
  const text = 'listenPort=1\nbindAddress=10.0.0.1\norderMessageEnable=true'
  const environment = { GANTRY_LISTEN_PORT: '2', GANTRY_BIND_ADDRESS: '10.0.0.2' }
  const { options, origins } = find({ text, environment, flags: new Map([['listenPort', '3']]) })
  assert.equal(options.listenPort, 3)
  assert.equal(options.bindAddress, '10.0.0.2')
  assert.equal(options.orderMessageEnable, true)
  assert.equal(options.enableTopicList, true)
  assert.deepEqual(
    (['listenPort', 'bindAddress', 'orderMessageEnable', 'enableTopicList'] as const).map(name => origins.get(name)),
    ['flag', 'environment', 'file', 'default'],
  )
})

test('the file overrides ROCKETMQ_HOME, as in Apache', () => {
  const environment = { ROCKETMQ_HOME: '/opt/env' }
  assert.equal(find({ environment }).options.rocketmqHome, '/opt/env')
  assert.equal(find({ environment, text: 'rocketmqHome=/opt/file' }).options.rocketmqHome, '/opt/file')
  const own = { ...environment, GANTRY_ROCKETMQ_HOME: '/opt/own' }
  assert.equal(find({ environment: own, text: 'rocketmqHome=/opt/file' }).options.rocketmqHome, '/opt/own')
})

test('changes are stored in the file of -c, whatever configStorePath that file sets', () => {
  assert.equal(find({ text: 'configStorePath=/elsewhere' }).options.configStorePath, 'ns.conf')
  const flags = new Map([['configStorePath', '/by/flag']] as const)
  assert.equal(find({ text: '', flags }).options.configStorePath, '/by/flag')
})

const VALUES: readonly [line: string, value: unknown][] = [
  ['listenPort=9877', 9877],
  ['listenPort=9877 ', 9877],
  ['listenPort = +9877', 9877],
  ['listenPort:0', 0],
  ['enableTopicList=FALSE', false],
  ['enableTopicList=false \t', false],
  ['productEnvName=a b  ', 'a b'],
  ['tls.server.mode=Enforcing', 'enforcing'],
  ['tls.server.keyPath=', null],
  ['httpPort=', null],
  ['httpPort=8080', 8080],
  ['proxyProtocolRanges=10.0.0.0/8, fd00::/8;192.168.1.1', ['10.0.0.0/8', 'fd00::/8', '192.168.1.1']],
  ['com.rocketmq.remoting.frameMaxLength=2048', 2048],
  ['bindAddress=::1', '::1'],
  ['threadPoolNums=-4', -4],
]

for (const [line, value] of VALUES) {
  test(`the line ${JSON.stringify(line)} gives ${JSON.stringify(value)}`, () => {
    const { options, problems, origins } = find({ text: line })
    assert.deepEqual(problems, [])
    const name = [...origins].find(([key, origin]) => origin === 'file' && key !== 'configStorePath')?.[0]
    assert.ok(name !== undefined)
    assert.deepEqual(options[name], value)
  })
}

const MISTAKES: readonly [line: string, text: string][] = [
  ['listenPort=98765', 'listenPort=98765: it must be a whole number from 0 to 65535'],
  ['listenPort=0x10', 'listenPort=0x10: it must be a whole number from 0 to 65535'],
  ['listenPort=', 'listenPort=: it must be a whole number from 0 to 65535'],
  ['enableTopicList=yes', 'enableTopicList=yes: it must be true or false'],
  ['waitSecondsForService=-1', 'waitSecondsForService=-1: it must be a whole number of seconds, 0 or more'],
  ['tls.server.mode=on', 'tls.server.mode=on: it must be permissive or disabled or enforcing'],
  ['productEnvName=a\\nb', 'productEnvName=a\\u000ab: it must be text without control characters'],
  [
    'proxyProtocolRanges=10.0.0.0/33',
    'proxyProtocolRanges=10.0.0.0/33: it must be address ranges such as 10.0.0.0/8,fd00::/8',
  ],
  ['bindAddress=a b', 'bindAddress=a b: it must be an IP address or a host name'],
  ['enableControllerInNamesrv=true', 'enableControllerInNamesrv=true: it must be false: there is no controller here'],
  [
    'tls.server.keyPassword=a\\u0000',
    'tls.server.keyPassword=******: it must be text without control characters, or nothing',
  ],
]

for (const [line, text] of MISTAKES) {
  test(`the line ${JSON.stringify(line)} is an error that names the file, the line, the value and what is valid`, () => {
    const { problems } = find({ text: `# a comment\n\n${line}\n` })
    assert.deepEqual(problems, [{ level: 'error', text: `ns.conf:3: ${text}` }])
  })
}

test('all errors of all sources are reported together', () => {
  const { problems } = find({
    text: 'listenPort=x\nenableTopicList=maybe',
    environment: { GANTRY_HTTP_PORT: 'tcp://10.0.0.11:80' },
    flags: new Map([['logLevel', 'loud']]),
  })
  assert.deepEqual(
    problems.map(({ level, text }) => `${level} ${text.split(':')[0]}`),
    ['error ns.conf', 'error ns.conf', 'error the environment variable GANTRY_HTTP_PORT=tcp', 'error --log-level=loud'],
  )
})

test('an unknown key is a warning with the nearest known key, and is kept', () => {
  const { problems, unknown } = find({ text: 'listnePort=1\nzzz=2' })
  assert.deepEqual(problems, [
    { level: 'warning', text: 'ns.conf:1: the key "listnePort" is unknown and ignored; did you mean listenPort?' },
    { level: 'warning', text: 'ns.conf:2: the key "zzz" is unknown and ignored' },
  ])
  assert.deepEqual([...unknown], [['listnePort', '1'], ['zzz', '2']]) // biome-ignore format: one line
})

test('a key of Apache that has no effect here is a warning with the reason, and is kept', () => {
  const { problems, unknown } = find({ text: 'connectTimeoutMillis=1' })
  assert.deepEqual(problems, [
    { level: 'warning', text: "ns.conf:1: connectTimeoutMillis has no effect: it belongs to Apache's embedded client" },
  ])
  assert.deepEqual([...unknown], [['connectTimeoutMillis', '1']])
})

test('of two lines with one key the last counts, with a warning', () => {
  const { options, problems } = find({ text: 'listenPort=1\nlistenPort=2' })
  assert.equal(options.listenPort, 2)
  assert.deepEqual(problems, [
    { level: 'warning', text: 'ns.conf:2: listenPort was already set on line 1; this line counts' },
  ])
})

test('non-ASCII text is read as Java reads it, with a warning', () => {
  const { options, problems } = find({ text: 'productEnvName=é' })
  assert.equal(options.productEnvName, 'Ã©')
  assert.equal(problems[0]?.level, 'warning')
  assert.equal(find({ text: 'productEnvName=\\u0041' }).options.productEnvName, 'A')
})

test('an unknown variable is a warning that names the variable that was meant', () => {
  const environment = {
    GANTRY_LISTEN_PROT: '1',
    GANTRY_LISTENPORT: '2',
    GANTRY_LOGLEVEL: 'warn',
    GANTRY_ZZZ: 'x',
    X_Y: '1',
  }
  const { problems } = find({ environment })
  const unknown = (variable: string, meant?: string) => ({
    level: 'warning',
    text: `the environment variable ${variable} is unknown and ignored${meant === undefined ? '' : `; did you mean ${meant}?`}`,
  })
  assert.deepEqual(problems, [
    unknown('GANTRY_LISTEN_PROT', 'GANTRY_LISTEN_PORT'),
    unknown('GANTRY_LISTENPORT', 'GANTRY_LISTEN_PORT'),
    unknown('GANTRY_LOGLEVEL', 'GANTRY_LOG_LEVEL'),
    unknown('GANTRY_ZZZ'),
  ])
})

test('the variables that Kubernetes sets for a service named gantry are no misspelled options', () => {
  const environment = {
    GANTRY_SERVICE_HOST: '10.0.0.1',
    GANTRY_SERVICE_PORT: '9876',
    GANTRY_SERVICE_PORT_REMOTING: '9876',
    GANTRY_PORT: 'tcp://10.0.0.1:9876',
    GANTRY_PORT_9876_TCP: 'tcp://10.0.0.1:9876',
    GANTRY_PORT_9876_TCP_PROTO: 'tcp',
    GANTRY_PORT_9876_TCP_PORT: '9876',
    GANTRY_PORT_9876_TCP_ADDR: '10.0.0.1',
  }
  assert.deepEqual(find({ environment }).problems, [])
})

for (const [line, shown] of [
  ['rocketmqHome=D:\\rocketmq\\namesrv', 'D:\\rocketmq\\namesrv'],
  ['rocketmqHome=C:\\store', 'C:\\store'],
  ['rocketmqHome=D:\\rocketmq\\\nlistenPort=9877', 'D:\\rocketmqlistenPort=9877'],
] as const) {
  test(`the path ${JSON.stringify(line)} is an error that says how to write backslashes`, () => {
    const { problems } = find({ text: line })
    assert.deepEqual(problems, [
      {
        level: 'error',
        text: `ns.conf:1: rocketmqHome=${shown}: a backslash escapes the next character in this file; in a path, write / or \\\\ for each one`,
      },
    ])
  })
}

test('a path with slashes, doubled backslashes or escapes of Properties.store is valid', () => {
  for (const written of ['C:/store', 'C:\\\\store', 'C\\:\\\\my\\ store', '/st\\u006fre']) {
    assert.deepEqual(find({ text: `rocketmqHome=${written}` }).problems, [], written)
  }
})

test('a byte order mark is a warning that names the file', () => {
  const file = { path: 'ns.conf', entries: [], hasByteOrderMark: true }
  assert.match(find({ file }).problems[0]?.text ?? '', /^ns.conf begins with a byte order mark, which is skipped/)
})

test('a value with control or direction characters is shown with escapes', () => {
  const [problem] = find({ flags: new Map([['listenPort', '98\u202e\u001b[2J']]) }).problems
  assert.match(problem?.text ?? '', /^--listen-port=98\\u202e\\u001b\[2J: it must be/)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mqnamesrv } from '../name-server/mqnamesrv.ts'
import { readCommandLine, UsageError } from './command-line.ts'
import { apacheHelp, fullHelp } from './help.ts'

function read(line: string) {
  const { configFile, help, version, print, printImportant, flags } = readCommandLine(
    mqnamesrv,
    line.split(' ').filter(word => word !== ''),
  )
  return { configFile, help, version, print, printImportant, flags: Object.fromEntries(flags) }
}

const nothing = { configFile: null, help: false, version: false, print: false, printImportant: false, flags: {} }

// The first nine are read as captured from Apache 5.5.0.
const LINES: readonly [line: string, read: Partial<ReturnType<typeof read>>][] = [
  ['', {}],
  ['-c /a', { configFile: '/a' }],
  ['-c/a', { configFile: '/a' }],
  ['-c=/a', { configFile: '/a' }],
  ['--configFile /a', { configFile: '/a' }],
  ['--configFile=/a', { configFile: '/a' }],
  ['--conf /a', { configFile: '/a' }],
  ['-conf /a', { configFile: '/a' }],
  ['-pc /a', { configFile: '/a', print: true }],
  ['-n 127.0.0.1:9876 -p', { print: true }],
  ['-c /a -c /b', { configFile: '/a' }],
  ['-h --', { help: true }],
  ['--version', { version: true }],
  ['--listen-port 9877', { flags: { listenPort: '9877' } }],
  ['--listen-port=9877 --listen-port=9878', { flags: { listenPort: '9878' } }],
  ['--listenPort 9877', { flags: { listenPort: '9877' } }],
  ['--client-request-thread-pool-nums -4', { flags: { clientRequestThreadPoolNums: '-4' } }],
  ['--http-enabled', { flags: { httpEnabled: 'true' } }],
  ['--http-enabled false -p', { flags: { httpEnabled: 'false' }, print: true }],
  ['--http-enabled=no', { flags: { httpEnabled: 'no' } }],
  ['--no-http-enabled', { flags: { httpEnabled: 'false' } }],
  ['--tls-server-mode enforcing', { flags: { tlsServerMode: 'enforcing' } }],
  ['--product-env-name=a=b', { flags: { productEnvName: 'a=b' } }],
  ['--config-store-path /s --config /a', { configFile: '/a', flags: { configStorePath: '/s' } }],
]

for (const [line, expected] of LINES) {
  test(`mqnamesrv ${line} is valid`, () => assert.deepEqual(read(line), { ...nothing, ...expected }))
}

const MISTAKES: readonly [line: string, message: string][] = [
  ['-x', 'Unrecognized option: -x'],
  ['-px', 'Unrecognized option: -px'],
  ['-c', 'Missing argument for option: c'],
  ['-c -p', 'Missing argument for option: c'],
  ['--con', 'Missing argument for option: c'],
  ['-n', 'Missing argument for option: n'],
  ['--listen-port', 'Missing argument for option: listen-port'],
  ['--listen-prot 1', 'Unrecognized option: --listen-prot (did you mean --listen-port?)'],
  ['--help=yes', 'Unrecognized option: --help=yes'],
  ['junk -h', 'mqnamesrv takes options only, and "junk" is none'],
  ['-', 'mqnamesrv takes options only, and "-" is none'],
  ['-p -- junk', 'mqnamesrv takes options only, and "junk" is none'],
  ['listenport=1', 'mqnamesrv takes options only, and "listenport=1" is none (did you mean --listen-port=1?)'],
  ['--http-enabled no', 'mqnamesrv takes options only, and "no" is none'],
  ['--no-http-enabled=x', 'Unrecognized option: --no-http-enabled=x'],
  ['--no-listen-port', 'Unrecognized option: --no-listen-port (did you mean --listen-port?)'],
]

for (const [line, message] of MISTAKES) {
  test(`mqnamesrv ${line} is refused`, () => {
    assert.throws(
      () => read(line),
      (error: Error) => error instanceof UsageError && error.message.startsWith(message),
    )
  })
}

test('the short help is the help of Apache, letter for letter', () => {
  assert.equal(
    apacheHelp(mqnamesrv),
    `usage: mqnamesrv [-c <arg>] [-h] [-n <arg>] [-p]
 -c,--configFile <arg>    Name server config properties file
 -h,--help                Print help
 -n,--namesrvAddr <arg>   Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'
 -p,--printConfigItem     Print all config items
`,
  )
})

test('the long help has every option and no line beyond 110 characters', () => {
  const help = fullHelp(mqnamesrv)
  for (const flag of ['--listen-port <int>', '--http-enabled\n', '--tls-server-mode'])
    assert.ok(help.includes(flag), flag)
  for (const line of help.split('\n')) assert.ok(line.length <= 110, line)
})

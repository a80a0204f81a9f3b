import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type FoundOptions, VERSION } from '@gantrymq/daemon'
import { type NameServerOptions, nameServerOptions } from '@gantrymq/namesrv'
import { mqnamesrv } from '../name-server/mqnamesrv.ts'
import type { Program } from './program.ts'
import { run } from './run.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'program-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

interface Given {
  readonly file?: string | Buffer
  readonly environment?: Readonly<Record<string, string>>
  readonly fail?: unknown
  /** What differs from mqnamesrv. */
  readonly program?: Partial<Program<NameServerOptions>>
}

/** Runs mqnamesrv with a server that does nothing. `FILE` in the arguments stands for the given file. */
async function launch(t: TestContext, args: string, { file, environment = {}, fail, program: differing }: Given = {}) {
  const home = await folder(t)
  const path = join(home, 'ns.conf')
  if (file !== undefined) await writeFile(path, file)
  const out: string[] = []
  const err: string[] = []
  const started: FoundOptions<NameServerOptions>[] = []
  const ended = Promise.withResolvers<number>()
  const process = Object.assign(new EventEmitter(), { exit: (code: number) => ended.resolve(code) })
  const program: Program<NameServerOptions> = {
    ...mqnamesrv,
    start: async found => {
      if (fail !== undefined) throw fail
      started.push(found)
      const { bindAddress, listenPort: port } = found.options
      const bootLine = `The ${differing?.role ?? 'Name Server'} boot success. serializeType=JSON, address ${bindAddress}:${port}`
      return { port, bootLine, options: found.options, close: async () => void started.pop() }
    },
    ...differing,
  }
  const code = await run(program, {
    args: args.split(' ').filter(word => word !== '').map(word => word.replace('FILE', path)), // biome-ignore format: one thought
    environment,
    home,
    process,
    print: line => out.push(line),
    complain: line => err.push(line),
  })
  return { code, out, err, started, home, path, process, ended: ended.promise }
}

test('the program prints the boot line of Apache when its port is open', async t => {
  const { code, out, err, started } = await launch(t, '--listen-port 19877 --log-level error')
  assert.equal(code, null)
  assert.deepEqual(out, ['The Name Server boot success. serializeType=JSON, address 0.0.0.0:19877'])
  assert.deepEqual(err, [])
  assert.equal(started.length, 1)
})

test('the program confirms a config file with the line of Apache', async t => {
  const { out, path, started } = await launch(t, '-c FILE --log-level error', { file: 'listenPort=19878 \nnope=1' })
  assert.deepEqual(out, [
    `load config properties file OK, ${path}`,
    'The Name Server boot success. serializeType=JSON, address 0.0.0.0:19878',
  ])
  assert.equal(started[0]?.options.configStorePath, path)
  assert.deepEqual(started[0]?.unknown, new Map([['nope', '1']]))
})

test('-h prints the help and ends with 0', async t => {
  const { code, out, started } = await launch(t, '-h')
  assert.equal(code, 0)
  assert.match(out[0] ?? '', /^usage: mqnamesrv/)
  assert.equal(started.length, 0)
})

test('--version prints the version and ends with 0', async t => {
  const { code, out, started } = await launch(t, '--version -c FILE')
  assert.equal(code, 0)
  assert.deepEqual(out, [`mqnamesrv ${VERSION} (Gantry)`])
  assert.equal(started.length, 0)
})

test('a word that is no option ends the start with a sentence, the help and 1', async t => {
  const { code, err, out, started } = await launch(t, 'listenPort=9877')
  assert.equal(code, 1)
  assert.deepEqual(err, [
    'mqnamesrv takes options only, and "listenPort=9877" is none (did you mean --listen-port=9877?)',
  ])
  assert.match(out[0] ?? '', /^usage: mqnamesrv/)
  assert.equal(started.length, 0)
})

test('-p prints every option, including those of the file, and ends with 0', async t => {
  const { code, out, err } = await launch(t, '-pc FILE --tls-server-key-password x', {
    file: 'productEnvName=test\nlistnePort=1',
  })
  assert.equal(code, 0)
  const lines = out.slice(1).join('\n').split('\n')
  assert.equal(lines.length, nameServerOptions.names.length)
  assert.match(lines[0] ?? '', /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO main - rocketmqHome=$/)
  assert.ok(lines.some(line => line.endsWith(' - productEnvName=test')))
  assert.ok(lines.some(line => line.endsWith(' - tls.server.keyPassword=******')))
  assert.match(
    err.join(),
    /^warning: .*ns.conf:2: the key "listnePort" is unknown and ignored; did you mean listenPort\?$/,
  )
})

test('an invalid command line prints the reason to standard error and the help, and ends with 1', async t => {
  const { code, out, err } = await launch(t, '-x')
  assert.equal(code, 1)
  assert.deepEqual(err, ['Unrecognized option: -x'])
  assert.match(out[0] ?? '', /^usage: mqnamesrv/)
})

test('invalid values end the start with 255, and each is reported with its place', async t => {
  const given = { file: 'listenPort=x', environment: { GANTRY_LOG_LEVEL: 'loud' } }
  const { code, out, err, path, started } = await launch(t, '-c FILE', given)
  assert.equal(code, 255)
  assert.deepEqual(out, [])
  assert.deepEqual(err.join('\n').split('\n'), [
    `${path}:1: listenPort=x: it must be a whole number from 0 to 65535`,
    'the environment variable GANTRY_LOG_LEVEL=loud: it must be debug or info or warn or error',
  ])
  assert.equal(started.length, 0)
})

test('a config file that is missing or malformed ends the start with one sentence', async t => {
  const missing = await launch(t, '-c FILE')
  assert.equal(missing.code, 255)
  assert.deepEqual(missing.err, [`the config file ${missing.path} cannot be read: there is no such file`])
  const malformed = await launch(t, '-c FILE', { file: 'a=1\nb=\\u12' })
  assert.equal(malformed.code, 255)
  assert.match(malformed.err.join(), /ns\.conf cannot be read: line 2: /)
})

test('a config file with a byte order mark is read, with a warning; one in UTF-16 ends the start with what to do', async t => {
  const marked = await launch(t, '-pc FILE', { file: '\ufefflistenPort=9877\r\n' })
  assert.equal(marked.code, 0)
  assert.match(marked.out.join('\n'), / listenPort=9877$/m)
  assert.match(marked.err.join(), /^warning: .*ns\.conf begins with a byte order mark, which is skipped/)
  for (const mark of ['\ufeff', '']) {
    const file = Buffer.from(`${mark}listenPort=9877`, 'utf16le')
    const { code, err, path } = await launch(t, '-pc FILE', { file })
    assert.equal(code, 255)
    assert.deepEqual(err, [`the config file ${path} cannot be read: it is UTF-16: save it as UTF-8, or as plain ASCII`])
  }
})

test('the paths of Windows end the start with one line that says how to write backslashes', async t => {
  for (const file of [
    'kvConfigPath=D:\\rocketmq\\namesrv\\kvConfig.json',
    'rocketmqHome=C:\\users\\me',
    'rocketmqHome=D:\\store',
  ]) {
    const { code, err } = await launch(t, '-pc FILE', { file })
    assert.equal(code, 255, file)
    assert.match(err.join(), /^[^\n\r]*a backslash escapes the next character in this file[^\n\r]*$/)
  }
})

test('a port in use ends the start with one sentence that says what to do', async t => {
  const holder = createServer()
  await new Promise<void>(resolve => holder.listen(0, '127.0.0.1', resolve))
  t.after(() => holder.close())
  const { port } = holder.address() as { port: number }
  const other = createServer()
  const fail = await new Promise<Error>(resolve => other.once('error', resolve).listen(port, '127.0.0.1'))
  const wrapped = new Error('cannot listen', { cause: fail })
  const { code, err } = await launch(t, `--listen-port ${port} --log-level error`, { fail: wrapped })
  assert.equal(code, 255)
  assert.deepEqual(err, [
    `the port 127.0.0.1:${port} is in use by another program: end it or choose another port with --listen-port`,
  ])
})

test('any other failure to start is reported in one sentence too', async t => {
  const { code, err } = await launch(t, '--log-level error', {
    fail: new Error('the KV config file /x cannot be read: EISDIR'),
  })
  assert.equal(code, 255)
  assert.deepEqual(err, ['the name server could not start: the KV config file /x cannot be read: EISDIR'])
})

test('a change of the shutdown options at run time counts for the deadline of the shutdown', async t => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  const options = { enableShutdownGracefully: false, shutdownWaitTimeSeconds: 30, shutdownDrainMillis: 1000 }
  const start = async () => ({ port: 1, bootLine: '', options, close: () => new Promise<void>(() => {}) })
  const { process: fake, ended } = await launch(t, '--log-level error --pid-file=', { program: { start } })
  options.enableShutdownGracefully = true
  fake.emit('SIGHUP')
  let code: number | undefined
  void ended.then(value => (code = value))
  t.mock.timers.tick(35_000)
  await Promise.resolve()
  assert.equal(code, undefined)
  t.mock.timers.tick(1000)
  assert.equal(await ended, 255)
})

test('while the program runs its process id is in the pid file; a signal removes it and ends the program with 0', async t => {
  const { home, process: fake, ended, started } = await launch(t, '--log-level error')
  const pidFile = join(home, 'namesrv', 'mqnamesrv.pid')
  assert.equal(await readFile(pidFile, 'utf8'), `${process.pid}\n`)
  fake.emit('SIGTERM')
  assert.equal(await ended, 0)
  assert.equal(started.length, 0)
  await assert.rejects(readFile(pidFile), { code: 'ENOENT' })
})

test('a pid file that cannot be written does not stop the start', async t => {
  const { code } = await launch(t, '--pid-file /dev/null/x.pid --log-level error')
  assert.equal(code, null)
})

test('a program of another server has its own name, options of Apache, boot line and failure message', async t => {
  const mqbroker: Partial<Program<NameServerOptions>> = {
    name: 'mqbroker',
    role: 'broker',
    apacheOptions: [
      { short: 'h', long: 'help', takesValue: false, meaning: 'Print help' },
      { short: 'm', long: 'printImportantConfig', takesValue: false, meaning: 'Print important config item' },
    ],
    importantOptions: ['listenPort'],
  }
  const help = await launch(t, '-h', { program: mqbroker })
  assert.match(help.out[0] ?? '', /^usage: mqbroker \[-h\] \[-m\]\n/)
  const wrong = await launch(t, '-x', { program: mqbroker })
  assert.deepEqual([wrong.code, wrong.err], [1, ['Unrecognized option: -x']])
  assert.match(wrong.out[0] ?? '', /mqbroker -h shows all other options\.$/)
  const started = await launch(t, '--listen-port 10911 --log-level error', { program: mqbroker })
  assert.deepEqual(started.out, ['The broker boot success. serializeType=JSON, address 0.0.0.0:10911'])
  const printed = await launch(t, '-m --listen-port 10911', { program: mqbroker })
  assert.equal(printed.code, 0)
  assert.match(printed.out[0] ?? '', /^\S+ \S+ INFO main - listenPort=10911$/)
  const failed = await launch(t, '--log-level error', { program: mqbroker, fail: new Error('no store') })
  assert.deepEqual([failed.code, failed.err], [255, ['the broker could not start: no store']])
})

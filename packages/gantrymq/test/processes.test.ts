// The program as operators run it, in its own process.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as dial } from 'node:net'
import { createInterface } from 'node:readline'
import { describe, test, type TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { encodeRegisterBroker, nameServerRequests } from '@gantrymq/protocol'
import { encodeFrame, Outbox, RemotingClient } from '@gantrymq/remoting'

const { GET_BROKER_CLUSTER_INFO, REGISTER_BROKER, UPDATE_NAMESRV_CONFIG } = nameServerRequests
const question = encodeFrame(
  {
    code: GET_BROKER_CLUSTER_INFO.code,
    language: 'JAVA',
    version: 513,
    opaque: 1,
    flag: 0,
    remark: null,
    extFields: null,
    body: null,
    serializeType: 'JSON',
  },
  new Outbox(),
)
const program = fileURLToPath(new URL('../src/bin/mqnamesrv.ts', import.meta.url))

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'process-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

/** Starts the program with its own home folder and waits for the boot line. */
function start(t: TestContext, home: string, ...args: string[]) {
  return startIn(t, home, [], args)
}

async function startIn(t: TestContext, home: string, nodeFlags: readonly string[], args: readonly string[]) {
  const { PATH, NODE_COMPILE_CACHE } = process.env
  const environment = { PATH, NODE_COMPILE_CACHE, HOME: home, USERPROFILE: home }
  const child = spawn(process.execPath, [...nodeFlags, program, '--listen-port', '0', ...args], { env: environment })
  t.after(() => child.kill('SIGKILL'))
  const ended = once(child, 'exit') as Promise<[code: number | null, signal: string | null]>
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) {
    lines.push(line)
    const port = /^The Name Server boot success\. serializeType=JSON, address 0\.0\.0\.0:(\d+)$/.exec(line)?.[1]
    if (port !== undefined) return { child, ended, lines, address: `127.0.0.1:${port}` }
  }
  throw new Error('the program ended before it had booted')
}

function connect(t: TestContext): RemotingClient {
  const client = new RemotingClient()
  t.after(() => client.close())
  return client
}

// Each test waits for its process most of the time.
describe('processes', { concurrency: 4 }, () => {
  test('a change of the config is stored in the file of -c and in effect after a restart with it', async t => {
    const home = await folder(t)
    const path = join(home, 'ns.conf')
    await writeFile(path, '# ours\norderMessageEnable=false\n')
    const client = connect(t)
    const { child, ended, address } = await start(t, home, '-c', path)
    await client.call(address, UPDATE_NAMESRV_CONFIG, { body: 'orderMessageEnable=true\n' })
    child.kill('SIGTERM')
    assert.deepEqual(await ended, [0, null])
    assert.equal(await readFile(path, 'utf8'), '# ours\norderMessageEnable=true\n')
    const { stdout } = spawn(process.execPath, [program, '-pc', path])
    const text = (await stdout.toArray()).join('')
    assert.match(text, / INFO main - orderMessageEnable=true$/m)
  })

  test('an unknown key of the config file is a warning in the log that names file, line and the nearest key', async t => {
    const home = await folder(t)
    const path = join(home, 'ns.conf')
    await writeFile(path, '\nlistnePort=1\n')
    const { lines } = await start(t, home, '-c', path)
    const warning = ` WARN main - ${path}:2: the key "listnePort" is unknown and ignored; did you mean listenPort?`
    assert.ok(
      lines.some(line => line.endsWith(warning)),
      lines.join('\n'),
    )
    assert.equal(lines[0], `load config properties file OK, ${path}`)
  })

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    test(`${signal} ends the program with 0 and leaves no pid file`, async t => {
      const home = await folder(t)
      const { child, ended } = await start(t, home)
      assert.equal(await readFile(join(home, 'namesrv', 'mqnamesrv.pid'), 'utf8'), `${child.pid}\n`)
      child.kill(signal)
      assert.deepEqual(await ended, [0, null])
      assert.deepEqual(await readdir(join(home, 'namesrv')), [])
    })
  }

  test('a graceful shutdown that was turned on at run time is one', async t => {
    const { child, ended, address } = await start(t, await folder(t), '--shutdown-wait-time-seconds', '60')
    await connect(t).call(address, UPDATE_NAMESRV_CONFIG, { body: 'enableShutdownGracefully=true\n' })
    const socket = dial(Number(address.split(':')[1]), '127.0.0.1')
    t.after(() => socket.destroy())
    const chunks = socket.iterator()
    const ask = async (): Promise<string> => {
      socket.write(question)
      return String((await chunks.next()).value)
    }
    assert.match(await ask(), /"code":0/)
    const invoked = once(child.stdout, 'data')
    child.kill('SIGTERM')
    await invoked
    // A shutdown that is not graceful ends the connection after the first answers.
    for (let count = 0; count < 100; count++) assert.match(await ask(), /please go away/)
    child.kill('SIGTERM')
    assert.deepEqual(await ended, [143, null])
  })

  test('what the program writes to a terminal has no characters that control it', async t => {
    const path = join(await folder(t), '\u001b[2J\u202ens.conf')
    await writeFile(path, 'listenPort=1')
    const { stdout } = spawn(process.execPath, [program, '-pc', path])
    assert.match((await stdout.toArray()).join(''), /^load config properties file OK, .*\\u001b\[2J\\u202ens\.conf\n/)
    const { stderr } = spawn(process.execPath, [program, '\u001b[2J'])
    assert.match((await stderr.toArray()).join(''), /^mqnamesrv takes options only, and "\\u001b\[2J" is none\n$/)
  })

  test('SIGUSR1 opens no debugger port and does not end the program', async t => {
    const { child, ended } = await start(t, await folder(t))
    const said: string[] = []
    child.stderr.on('data', chunk => said.push(String(chunk)))
    child.kill('SIGUSR1')
    // Signals are handled in order, so that the program has seen the first one when it ends.
    child.kill('SIGTERM')
    assert.deepEqual(await ended, [0, null])
    assert.equal(said.join(''), '')
  })

  test('a program that was stopped for longer than the timeout of its brokers still has all of them when it continues', async t => {
    const { child, address } = await start(t, await folder(t), '--scan-not-active-broker-interval', '1000')
    const body = encodeRegisterBroker(
      {
        dataVersion: { stateVersion: 0, timestamp: 1, counter: 1 },
        topics: new Map(),
        topicQueueMappings: new Map(),
        filterServers: [],
      },
      { version: 513, compressed: false },
    )
    const client = connect(t)
    const heartbeatTimeoutMillis = 3000
    const register = (brokerName: string) => {
      const header = {
        brokerName,
        brokerAddr: `${brokerName}:1`,
        clusterName: 'C',
        brokerId: 0,
        heartbeatTimeoutMillis,
      }
      return client.call(address, REGISTER_BROKER, { header, body })
    }
    await Promise.all(Array.from({ length: 20 }, (_, i) => register(`b${i}`)))
    child.kill('SIGSTOP')
    // The time of another process cannot be moved.
    await delay(heartbeatTimeoutMillis + 200)
    const asked = client.call(address, GET_BROKER_CLUSTER_INFO)
    child.kill('SIGCONT')
    assert.equal((await asked).body?.brokerAddrTable.size, 20)
  })

  for (const format of ['text', 'json'] as const) {
    test(`a reader of the ${format} log that stalls neither stops nor bloats the program, and learns what it missed`, async t => {
      const home = await folder(t)
      const { child, ended, address } = await startIn(t, home, ['--max-old-space-size=40'], ['--log-format', format])
      child.stdout.pause()
      const client = connect(t)
      const floodWith = async (first: number) => {
        const keys = Array.from({ length: 20 }, (_, key) => `${'x'.repeat(180)}${first + key}=1\n`)
        await client.call(address, UPDATE_NAMESRV_CONFIG, { body: keys.join('') })
      }
      const flood = (index: number) =>
        Promise.all(Array.from({ length: 50 }, (_, request) => floodWith(index * 1000 + request * 20)))
      // 30 MB of log lines, which would not fit into the program's memory.
      for (let i = 0; i < 100; i++) await flood(i)
      let text = ''
      child.stdout.setEncoding('utf8').on('data', chunk => (text += String(chunk)))
      child.stdout.resume()
      while (!text.includes('log lines were dropped')) await once(child.stdout, 'data')
      await flood(100)
      child.kill('SIGTERM')
      assert.deepEqual(await ended, [0, null])
      const lines = text.split('\n')
      const notices = lines.filter(line => line.includes('log lines were dropped'))
      assert.equal(notices.length, 1)
      const dropped = Number(/"?lines"?[=:](\d+)/.exec(notices[0] ?? '')?.[1])
      const read = lines.filter(line => line.includes('updateConfig ignored a key')).length
      // Besides these lines, each request has one that tells who sent it.
      const others = read + dropped - 101 * 1000
      assert.ok(others >= 0 && others <= 101 * 50, `${read} lines read, ${dropped} dropped`)
    })
  }

  test('a second signal ends the program at once', async t => {
    const home = await folder(t)
    const graceful = ['--enable-shutdown-gracefully', '--shutdown-wait-time-seconds', '60']
    const { child, ended, address } = await start(t, home, ...graceful)
    // The program serves on as long as a client is connected.
    await connect(t).call(address, GET_BROKER_CLUSTER_INFO)
    const invoked = once(child.stdout, 'data')
    child.kill('SIGTERM')
    await invoked
    child.kill('SIGINT')
    assert.deepEqual(await ended, [130, null])
  })

  test('with --log-format json every line of the log is a JSON object', async t => {
    const home = await folder(t)
    const { child, ended } = await start(t, home, '--log-format', 'json')
    const rest: string[] = []
    child.stdout.on('data', chunk => rest.push(String(chunk)))
    child.kill('SIGTERM')
    await ended
    const lines = rest.join('').trim().split('\n').map(line => JSON.parse(line) as { level: string; msg: string }) // biome-ignore format: one thought
    assert.deepEqual(
      lines.map(({ level, msg }) => `${level} ${msg}`),
      ['info shutdown hook was invoked', 'info shutdown hook done'],
    )
  })
})

// The broker as operators run it, in its own process.
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once as event } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test, type TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { consumeRequests, decodeMessages, pullFlags, sendRequests } from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'

const program = fileURLToPath(new URL('../src/bin/mqbroker.ts', import.meta.url))

const mqshutdown = fileURLToPath(new URL('../src/bin/mqshutdown.ts', import.meta.url))

const fullDisk = new URL('full-disk.ts', import.meta.url).href

/** The programs of each home folder. */
const programsOf = new Map<string, ChildProcess[]>()

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'broker-process-'))
  programsOf.set(path, [])
  t.after(async () => {
    // A program that runs would write into the folder while it is removed.
    for (const child of programsOf.get(path) ?? []) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await event(child, 'exit')
    }
    await rm(path, { recursive: true, force: true })
  })
  return path
}

/** Starts the program with its own home folder and waits for the boot line. */
async function start(home: string, ...args: string[]) {
  const { PATH, NODE_COMPILE_CACHE } = process.env
  const environment = { PATH, NODE_COMPILE_CACHE, HOME: home, USERPROFILE: home }
  const flags = ['--listen-port', '0', '--mapped-file-size-commit-log', '16777216', ...args]
  const child = spawn(process.execPath, [program, ...flags], { env: environment })
  programsOf.get(home)?.push(child)
  const ended = event(child, 'exit') as Promise<[code: number | null, signal: string | null]>
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) {
    lines.push(line)
    const address = /^The broker\[[^,]+, ([\d.]+:\d+)\] boot success\. serializeType=JSON$/.exec(line)?.[1]
    if (address !== undefined) return { child, ended, lines, address }
  }
  throw new Error(`no boot line:\n${lines.join('\n')}`)
}

function send(client: RemotingClient, address: string, body: string) {
  const header = {
    producerGroup: 'p',
    topic: 'Orders',
    defaultTopic: 'TBW102',
    defaultTopicQueueNums: 1,
    queueId: 0,
    sysFlag: 0,
    bornTimestamp: 1,
    flag: 0,
  }
  return client.call(address, sendRequests.SEND_MESSAGE, { header, body: Buffer.from(body) })
}

/** All messages of the topic, as text. */
async function pullAll(client: RemotingClient, address: string): Promise<string[]> {
  const texts: string[] = []
  for (let queueOffset = 0; ; ) {
    const header = {
      consumerGroup: 'g',
      topic: 'Orders',
      queueId: 0,
      queueOffset,
      maxMsgNums: 32,
      sysFlag: pullFlags.subscription,
      commitOffset: 0,
      suspendTimeoutMillis: 0,
      subscription: '*',
      subVersion: 0,
    }
    const reply = await client.call(address, consumeRequests.PULL_MESSAGE, { header })
    if (reply.body === null) return texts
    texts.push(...decodeMessages(reply.body).map(message => message.body.toString()))
    queueOffset = reply.header.nextBeginOffset
  }
}

test('after kill -9 every acknowledged message is there, once, and the broker goes on', {
  timeout: 60_000,
}, async t => {
  const home = await folder(t)
  const client = new RemotingClient()
  t.after(() => client.close())
  const first = await start(home)
  const acknowledged: string[] = []
  const sender = async (name: number) => {
    for (let i = 0; ; i++) {
      try {
        await send(client, first.address, `${name} ${i}`)
      } catch {
        return
      }
      acknowledged.push(`${name} ${i}`)
    }
  }
  const senders = Array.from({ length: 16 }, (_, name) => sender(name))
  while (acknowledged.length < 1000) await new Promise(resolve => void setImmediate(resolve))
  first.child.kill('SIGKILL')
  await Promise.all(senders)

  const second = await start(home)
  const found = await pullAll(client, second.address)
  const once = new Set(found)
  assert.equal(once.size, found.length)
  const lost = acknowledged.filter(text => !once.has(text))
  assert.deepEqual(lost, [])
  await send(client, second.address, 'after')
  assert.equal((await pullAll(client, second.address)).at(-1), 'after')
})

test('SIGTERM keeps everything and ends the program with 0', { timeout: 60_000 }, async t => {
  const home = await folder(t)
  const client = new RemotingClient()
  t.after(() => client.close())
  const first = await start(home)
  for (const body of ['a', 'b']) await send(client, first.address, body)
  const commit = { consumerGroup: 'g', topic: 'Orders', queueId: 0, commitOffset: 1 }
  await pullAll(client, first.address)
  await client.call(first.address, consumeRequests.UPDATE_CONSUMER_OFFSET, { header: commit })
  first.child.kill('SIGTERM')
  assert.deepEqual(await first.ended, [0, null])
  assert.equal(await readFile(join(home, 'store', 'config', 'consumerOffset.json'), 'utf8'), '{"offsetTable":{"Orders@g":{0:1}}}') // biome-ignore format: one thought

  const second = await start(home)
  assert.deepEqual(await pullAll(client, second.address), ['a', 'b'])
})

test('mqshutdown ends the broker, which it finds by its pid file', { timeout: 60_000 }, async t => {
  const home = await folder(t)
  const broker = await start(home)
  const { PATH, NODE_COMPILE_CACHE } = process.env
  const env = { PATH, NODE_COMPILE_CACHE, HOME: home, USERPROFILE: home }
  const child = spawn(process.execPath, [mqshutdown, 'broker'], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  programsOf.get(home)?.push(child)
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) lines.push(line)
  const { pid } = broker.child
  assert.deepEqual(lines, [`The mqbroker(${pid}) is running...`, `Send shutdown request to mqbroker(${pid}) OK`])
  assert.deepEqual(await broker.ended, [0, null])
})

test('SIGUSR1 opens no debugger port, and SIGHUP ends the program with 0', { timeout: 60_000 }, async t => {
  const { child, ended } = await start(await folder(t))
  const said: string[] = []
  child.stderr.on('data', chunk => said.push(String(chunk)))
  child.kill('SIGUSR1')
  child.kill('SIGHUP')
  assert.deepEqual(await ended, [0, null])
  assert.equal(said.join(''), '')
})

test('a broker.conf of Apache is read, and -n overrides its name servers', { timeout: 60_000 }, async t => {
  const home = await folder(t)
  const file = join(home, 'broker.conf')
  await writeFile(
    file,
    'brokerName=broker-a\nnamesrvAddr=127.0.0.1:1\nstorePathRootDir=' + join(home, 'elsewhere') + '\n',
  )
  const child = spawn(process.execPath, [program, '-c', file, '-n', '127.0.0.1:2', '-p'], {
    env: { ...process.env, HOME: home },
  })
  const lines: string[] = []
  for await (const line of createInterface(child.stdout)) lines.push(line)
  assert.equal(lines[0], `load config properties file OK, ${file}`)
  for (const item of [
    'brokerName=broker-a',
    'namesrvAddr=127.0.0.1:2',
    `storePathRootDir=${join(home, 'elsewhere')}`,
  ]) {
    assert.ok(
      lines.some(line => line.endsWith(` INFO main - ${item}`)),
      item,
    )
  }
})

/** Runs the program until it ends by itself. */
function fails(home: string, ...args: string[]): Promise<{ readonly code: number; readonly said: string }> {
  return failsIn([], home, args)
}

async function failsIn(nodeFlags: readonly string[], home: string, args: readonly string[]) {
  const flags = ['--listen-port', '0', '--mapped-file-size-commit-log', '16777216', ...args]
  const child = spawn(process.execPath, [...nodeFlags, program, ...flags], { env: { ...process.env, HOME: home } })
  programsOf.get(home)?.push(child)
  const said: string[] = []
  for await (const line of createInterface(child.stderr)) said.push(line)
  const code = child.exitCode ?? ((await event(child, 'exit')) as [number])[0]
  return { code, said: said.join('\n') }
}

test('a second broker on the same store ends with 255, and says what to do', { timeout: 60_000 }, async t => {
  const home = await folder(t)
  await start(home)
  const { code, said } = await fails(home)
  assert.equal(code, 255)
  assert.match(said, /^the broker could not start: .*is in use: stop the other broker, or choose another folder/)
})

test('a broker on the store of another cluster ends with 255, and says what to do', { timeout: 60_000 }, async t => {
  const home = await folder(t)
  const client = new RemotingClient()
  t.after(() => client.close())
  const { child, ended, address } = await start(home, '--broker-cluster-name', 'Berlin')
  await send(client, address, 'of Berlin')
  child.kill('SIGTERM')
  await ended
  const { code, said } = await fails(home, '--broker-cluster-name', 'Vienna')
  assert.equal(code, 255)
  assert.match(said, /^the broker could not start: \S+topics\.json is of a broker of another cluster: .* Vienna\. Choose another storePathRootDir, or set brokerClusterName/) // biome-ignore format: one thought
  const again = await start(home, '--broker-cluster-name', 'Berlin')
  assert.deepEqual(await pullAll(client, again.address), ['of Berlin'])
})

test('a broker without space for its store ends with 255, says what to do, and starts when there is some', {
  timeout: 60_000,
}, async t => {
  const home = await folder(t)
  const { code, said } = await failsIn(['--import', fullDisk], home, [])
  assert.equal(code, 255)
  assert.match(said, /^the broker could not start: no space is left for the store in \S+store: make room, or choose another storePathRootDir \(ENOSPC: no space left on device, mkdir\)$/) // biome-ignore format: one thought
  const client = new RemotingClient()
  t.after(() => client.close())
  const { address } = await start(home)
  await send(client, address, 'a')
  assert.deepEqual(await pullAll(client, address), ['a'])
})

test('a broker that may not write its folder ends with 255, and says so', {
  skip: process.platform !== 'linux' && 'there is no folder that no user may write',
  timeout: 60_000,
}, async t => {
  const { code, said } = await fails(await folder(t), '--store-path-root-dir', '/sys/gantry-store')
  assert.equal(code, 255)
  assert.match(
    said,
    /^the broker could not start: the store in \/sys\/gantry-store may not be changed: E(?:PERM|ACCES|ROFS)/,
  )
})

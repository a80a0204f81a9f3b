import assert from 'node:assert/strict'
import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type TestCluster, testCluster } from '@gantrymq/testkit/cluster'

interface Program {
  readonly child: ChildProcessWithoutNullStreams
  /** Its lines on stdout, and its output on stderr. */
  readonly out: string[]
  readonly err: string[]
  /** Its exit code, and the milliseconds between its last line and its end. */
  readonly ended: Promise<{ readonly code: number | null; readonly afterMs: number }>
}

/** Runs one of the programs; kills it when the test ends. */
function run(t: TestContext, name: string, ...args: readonly string[]): Program {
  const file = fileURLToPath(new URL(`programs/${name}.ts`, import.meta.url))
  const child = spawn(process.execPath, ['--unhandled-rejections=strict', '--trace-warnings', file, ...args])
  t.after(() => child.kill('SIGKILL'))
  const [out, err]: [string[], string[]] = [[], []]
  let lastAt = performance.now()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    lastAt = performance.now()
    out.push(...text.split('\n').filter(line => line !== ''))
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => err.push(text))
  const { promise: ended, resolve } = Promise.withResolvers<{ code: number | null; afterMs: number }>()
  child.once('close', code => resolve({ code, afterMs: performance.now() - lastAt }))
  return { child, out, err, ended }
}

async function untilWritten({ out, err, child, ended }: Program, line: string): Promise<void> {
  let isOver = false
  const over = ended.then(() => {
    isOver = true
  })
  while (!out.includes(line)) {
    assert.ok(!isOver, `it ended before it wrote "${line}": ${out.join(', ')} ${err.join('')}`)
    await Promise.race([over, new Promise(resolve => child.stdout.once('data', resolve))])
  }
}

async function ports(t: TestContext): Promise<TestCluster> {
  const cluster = await testCluster(t, { realPorts: true })
  await cluster.broker.setTopic('Orders')
  // The cluster's clock stands still: the programs use real time.
  return cluster
}

/** An address without a server. */
async function deadAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const address = server.address()
  await new Promise(resolve => server.close(resolve))
  assert.ok(address !== null && typeof address === 'object')
  return `127.0.0.1:${address.port}`
}

async function assertCleanEnd({ out, err, ended }: Program): Promise<void> {
  const { code, afterMs } = await ended
  assert.equal(err.join(''), '', 'nothing on stderr: no warning, no unhandled rejection')
  assert.equal(code, 0)
  assert.equal(out.at(-1), 'closed')
  assert.ok(afterMs < 5000, `it ran for another ${afterMs} ms after everything was closed`)
}

/** For a longer run: `node --expose-gc packages/client/test/programs/soak.ts 2000000`. */
const COUNT = 20_000
const MIB = 1 << 20

interface Sample {
  readonly sent: number
  readonly received: number
  readonly heapUsed: number
  readonly arrayBuffers: number
}

// Each test mostly waits for its own process.
describe('processes', { concurrency: 8 }, () => {
  test('memory stays flat over many messages that are sent, consumed and retried', async () => {
    const file = fileURLToPath(new URL('programs/soak.ts', import.meta.url))
    const { stdout, stderr } = await promisify(execFile)(process.execPath, ['--expose-gc', file, String(COUNT)])
    assert.equal(stderr, '')
    const lines = stdout.trim().split('\n')
    assert.equal(lines.at(-1), '{"timersLeft":0}')
    const samples = lines.slice(0, -1).map(line => JSON.parse(line) as Sample)
    assert.equal(samples.at(-1)?.received, COUNT)
    // The first three tenths are a warm-up: code is compiled, tables reach their size.
    const [early, late] = [samples[2], samples[9]]
    assert.ok(early !== undefined && late !== undefined)
    const grown = late.heapUsed - early.heapUsed
    assert.ok(grown < MIB, `the heap grew by ${grown} bytes over ${late.sent - early.sent} messages`)
    assert.ok(late.arrayBuffers - early.arrayBuffers < MIB, 'buffers are kept')
  })

  test('a program that has sent, received and closed ends by itself, with code 0 and nothing on stderr', async t => {
    const cluster = await ports(t)
    const program = run(t, 'works-and-closes', cluster.nameServerList)
    await assertCleanEnd(program)
    assert.ok(program.out.includes('failed 0, received 100'), program.out.join(', '))
  })

  test('a program without a name server ends by itself after closing', async t => {
    const program = run(t, 'works-and-closes', await deadAddress())
    await assertCleanEnd(program)
    assert.ok(program.out.includes('failed 50, received 0'), program.out.join(', '))
  })

  test('a program whose broker is down ends by itself after closing', async t => {
    const cluster = await ports(t)
    cluster.broker.down()
    const program = run(t, 'works-and-closes', cluster.nameServerList)
    await assertCleanEnd(program)
    assert.ok(program.out.includes('failed 50, received 0'), program.out.join(', '))
  })

  test('a program whose broker accepts connections and never answers ends by itself after closing', async t => {
    const cluster = await ports(t)
    cluster.broker.fault('*', { answer: 'never', handled: false, times: Number.POSITIVE_INFINITY })
    await assertCleanEnd(run(t, 'works-and-closes', cluster.nameServerList))
  })

  test('a program whose broker goes down while it is idle ends by itself after closing', async t => {
    const cluster = await ports(t)
    const program = run(t, 'works-and-closes', cluster.nameServerList, '--idle')
    await untilWritten(program, 'started')
    cluster.broker.down()
    program.child.stdin.end()
    await assertCleanEnd(program)
  })

  test('a running consumer keeps its process running while its broker and name server are down, and goes on', async t => {
    const cluster = await ports(t)
    const program = run(t, 'keeps-running', cluster.nameServerList)
    await untilWritten(program, 'started')
    cluster.broker.put({ topic: 'Orders', body: Buffer.from('before') })
    await untilWritten(program, 'before')
    cluster.broker.down()
    cluster.nameServer.server.down()
    // Long enough for a process with nothing to wait for to end.
    await Promise.race([program.ended, new Promise(resolve => setTimeout(resolve, 1500))])
    assert.equal(program.child.exitCode, null, 'it ended by itself')
    cluster.broker.put({ topic: 'Orders', body: Buffer.from('after') })
    cluster.nameServer.server.up()
    cluster.broker.up()
    await untilWritten(program, 'after')
    assert.equal(program.err.join(''), '')
  })

  test('a consumer that started without any server keeps its process running', async t => {
    const program = run(t, 'keeps-running', await deadAddress())
    await untilWritten(program, 'started')
    await Promise.race([program.ended, new Promise(resolve => setTimeout(resolve, 1500))])
    assert.equal(program.child.exitCode, null, 'it ended by itself')
    assert.equal(program.err.join(''), '')
  })
})

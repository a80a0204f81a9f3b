import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { nameServerRequests } from '@gantrymq/protocol'
import { encodeFrame, Outbox, RemotingClient } from '@gantrymq/remoting'
import { registerBody } from './registrations.ts'

const { GET_BROKER_CLUSTER_INFO, PUT_KV_CONFIG, DELETE_KV_CONFIG, GET_KVLIST_BY_NAMESPACE, REGISTER_BROKER } =
  nameServerRequests
const MIB = 1 << 20
const PATIENT = { timeoutMs: 20_000 }

/** A name server in a process of its own; for each line that it reads, it collects garbage and writes its memory. */
const PROGRAM = `
  import { createInterface } from 'node:readline'
  import { NameServer } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)}
  const server = await NameServer.start({ port: 0, host: '127.0.0.1', ...JSON.parse(process.argv[1]) })
  console.log(server.address.port)
  for await (const _ of createInterface(process.stdin)) {
    gc()
    const { heapUsed, external } = process.memoryUsage()
    console.log(JSON.stringify({ used: heapUsed + external }))
  }
  await server.close()`

interface Memory {
  /** Heap and buffers in use, bytes. */
  readonly used: number
}

async function startServer(t: TestContext, options: object) {
  const args = ['--expose-gc', '--input-type=module', '-e', PROGRAM, JSON.stringify(options)]
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(async () => {
    child.stdin.end()
    if (child.exitCode === null) await once(child, 'exit')
  })
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
  const port = Number((await lines.next()).value)
  const memory = async (): Promise<Memory> => {
    child.stdin.write('\n')
    return JSON.parse((await lines.next()).value as string) as Memory
  }
  const client = new RemotingClient()
  t.after(() => client.close())
  const address = `127.0.0.1:${port}`
  const serves = () => client.call(address, GET_BROKER_CLUSTER_INFO, {}, PATIENT)
  const dial = (): Socket => connect(port, '127.0.0.1').on('error', () => {})
  return { memory, serves, dial, client, address }
}

/** The memory when it has come near this value, or after half a minute. */
async function settled(memory: () => Promise<Memory>, near: number): Promise<Memory> {
  let last = await memory()
  for (let tries = 0; tries < 300 && last.used > near; tries++) {
    await pause(100)
    last = await memory()
  }
  return last
}

function frame(code: number, extFields: Map<string, string>, body: Buffer | null): Buffer {
  const command = { code, language: 'JAVA', version: 513, opaque: 1, flag: 0, remark: null } as const
  return encodeFrame({ ...command, extFields, body, serializeType: 'JSON' }, new Outbox())
}

test('61 unfinished frames of 16 MB hold no more than the limit, and memory returns when they end', async t => {
  const { memory, serves, dial } = await startServer(t, { maxFrameMemory: 32 * MIB })
  await serves()
  const start = await memory()
  const unfinished = frame(103, new Map(), Buffer.alloc(16 * MIB - 1024)).subarray(0, -1)
  const sockets = Array.from({ length: 61 }, () => dial())
  for (const socket of sockets) socket.write(unfinished)
  let most = 0
  // A busy machine needs longer to read what fills the limit.
  for (let i = 0; i < 8 || (most < 16 * MIB && i < 200); i++) {
    await pause(50)
    await serves()
    most = Math.max(most, (await memory()).used - start.used)
  }
  // With the frame that may exceed the limit, the reserve for waiting connections, and the pool of buffers.
  assert.ok(most > 16 * MIB && most < 128 * MIB, `${most / MIB} MiB`)
  for (const socket of sockets) socket.destroy()
  const end = await settled(memory, start.used + 24 * MIB)
  // The pool of buffers keeps up to 16 MiB for the next registrations.
  assert.ok(end.used - start.used < 24 * MIB, `${(end.used - start.used) / MIB} MiB more than at the start`)
})

test('sixty registrations at once, with six times the bytes that are allowed, are all applied, and memory returns', async t => {
  const { memory, serves, dial } = await startServer(t, { maxFrameMemory: 16 * MIB })
  await serves()
  const start = await memory()
  const body = registerBody({ topics: Array.from({ length: 10_000 }, (_, i) => `topic-${i}`) })
  const sockets = Array.from({ length: 60 }, (_, i) => {
    const identity = { clusterName: 'C', brokerName: `b${i}`, brokerAddr: `10.0.0.1:${i}`, brokerId: 0 }
    const socket = dial()
    socket.write(frame(103, REGISTER_BROKER.header.encode(identity), body))
    return socket
  })
  let answered = 0
  const answers = sockets.map(socket => once(socket, 'data').then(() => answered++))
  while (answered < sockets.length) await serves()
  await Promise.all(answers)
  for (const socket of sockets) socket.destroy()
  // LastBodies keeps up to 64 MiB until it is swept, and the pool of buffers 16 MiB.
  const end = await settled(memory, start.used + 96 * MIB)
  assert.ok(end.used - start.used < 96 * MIB, `${(end.used - start.used) / MIB} MiB more than at the start`)
})

test('a flood of KV puts holds no more than its limits, and memory returns when the keys are deleted', async t => {
  const { memory, serves, dial, client, address } = await startServer(t, {
    maxFrameMemory: 16 * MIB,
    maxKvConfigSize: 4 * MIB,
  })
  await serves()
  const start = await memory()
  const value = 'x'.repeat(10_000)
  const put = (key: string) => frame(100, PUT_KV_CONFIG.header.encode({ namespace: 'n', key, value }), null)
  const sockets = Array.from({ length: 20 }, (_, i) => {
    const socket = dial().resume()
    socket.write(Buffer.concat(Array.from({ length: 100 }, (_unused, key) => put(`${i}-${key}`))))
    return socket
  })
  const storedKeys = async (): Promise<string[]> => {
    const { body } = await client.call(address, GET_KVLIST_BY_NAMESPACE, { header: { namespace: 'n' } }, PATIENT)
    return [...(body?.keys() ?? [])]
  }
  // As many entries as the limit allows.
  const all = Math.floor((4 * MIB - 1) / 10_004)
  let most = 0
  let keys: string[] = []
  for (let i = 0; i < 200 && keys.length < all; i++) {
    await pause(50)
    most = Math.max(most, (await memory()).used - start.used)
    keys = await storedKeys()
  }
  assert.equal(keys.length, all)
  assert.ok(most < 64 * MIB, `${most / MIB} MiB`)
  for (const socket of sockets) socket.destroy()
  await Promise.all(
    keys.map(key => client.call(address, DELETE_KV_CONFIG, { header: { namespace: 'n', key } }, PATIENT)),
  )
  const end = await settled(memory, start.used + 8 * MIB)
  assert.ok(end.used - start.used < 8 * MIB, `${(end.used - start.used) / MIB} MiB more than at the start`)
})

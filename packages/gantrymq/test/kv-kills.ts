// Kills the name server in the middle of KV updates, again and again. After each kill the file must be whole, and after each start
// everything must be there that was acknowledged.
//
// npm run kills -- ROUNDS
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { nameServerRequests } from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'

const { DELETE_KV_CONFIG, GET_KVLIST_BY_NAMESPACE, PUT_KV_CONFIG } = nameServerRequests

const program = fileURLToPath(new URL('../src/bin/mqnamesrv.ts', import.meta.url))
const NAMESPACE = 'kills'
const WRITERS = 8
/** The kill comes after so many acknowledged changes at the latest. */
const LATEST_KILL = 200

/** The value of a key; undefined if it has none. */
type Value = string | undefined

/** A key and the client that changes it, one change after the other. */
class Writer {
  readonly key: string
  /** The last acknowledged value. */
  value: Value
  /** Values that were sent and not acknowledged: the server may have them or not. */
  readonly unsure = new Set<Value>()
  acknowledged = 0
  #version = 0

  constructor(key: string) {
    this.key = key
  }

  /** Changes the key until the server is gone. */
  async run(client: RemotingClient, address: string, onAcknowledged: () => void): Promise<void> {
    try {
      for (;;) {
        const value = ++this.#version % 5 === 0 ? undefined : `${this.#version} ${'v'.repeat(this.#version % 300)}`
        this.unsure.add(value)
        await this.#send(client, address, value)
        this.unsure.clear()
        this.value = value
        this.acknowledged++
        onAcknowledged()
      }
    } catch {
      // The server was killed.
    }
  }

  #send(client: RemotingClient, address: string, value: Value) {
    const header = { namespace: NAMESPACE, key: this.key }
    if (value === undefined) return client.call(address, DELETE_KV_CONFIG, { header })
    return client.call(address, PUT_KV_CONFIG, { header: { ...header, value } })
  }

  /** @throws AssertionError if the value is neither the acknowledged one nor a later one */
  check(found: Value, where: string): void {
    assert.ok(found === this.value || this.unsure.has(found), `${where}: ${this.key} is ${found}, not ${this.value}`)
  }

  /** Takes over what the server has after a restart. */
  settle(found: Value): void {
    this.check(found, 'after the restart')
    this.value = found
    this.unsure.clear()
  }
}

interface Started {
  readonly child: ChildProcess
  readonly address: string
}

async function start(home: string): Promise<Started> {
  const { PATH, NODE_COMPILE_CACHE } = process.env
  const environment = { PATH, NODE_COMPILE_CACHE, HOME: home, USERPROFILE: home }
  const args = [program, '--listen-port', '0', '--bind-address', '127.0.0.1', '--log-level', 'warn']
  const child = spawn(process.execPath, args, { env: environment, stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of createInterface(child.stdout)) {
    const port = /^The Name Server boot success\..*:(\d+)$/.exec(line)?.[1]
    if (port === undefined) continue
    child.stdout.resume()
    return { child, address: `127.0.0.1:${port}` }
  }
  throw new Error('the name server ended before it had booted')
}

async function valuesOnDisk(home: string): Promise<ReadonlyMap<string, string>> {
  const text = await readFile(join(home, 'namesrv', 'kvConfig.json'), 'utf8').catch(() => '{}')
  const { configTable = {} } = JSON.parse(text) as { configTable?: Record<string, Record<string, string>> }
  return new Map(Object.entries(configTable[NAMESPACE] ?? {}))
}

async function valuesOf(client: RemotingClient, address: string): Promise<ReadonlyMap<string, string>> {
  const header = { namespace: NAMESPACE }
  const reply = await client.call(address, GET_KVLIST_BY_NAMESPACE, { header }).catch((error: unknown) => {
    // The namespace does not exist before its first key.
    if ((error as { responseCode?: number }).responseCode === 22) return undefined
    throw error
  })
  return reply?.body ?? new Map()
}

export interface KillReport {
  readonly rounds: number
  /** Changes that were acknowledged in all rounds. */
  readonly acknowledged: number
}

/** @param random A number from 0 to 1: when the next kill comes. */
export async function killRounds(
  rounds: number,
  random: () => number,
  onRound: (round: number) => void = () => {},
): Promise<KillReport> {
  const home = await mkdtemp(join(tmpdir(), 'kv-kills-'))
  const writers = Array.from({ length: WRITERS }, (_, i) => new Writer(`k${i}`))
  let server: Started | undefined
  try {
    for (let round = 0; round < rounds; round++) {
      server = await start(home)
      await runRound(server, writers, home, random())
      onRound(round + 1)
    }
  } finally {
    server?.child.kill('SIGKILL')
    await rm(home, { recursive: true, force: true })
  }
  return { rounds, acknowledged: writers.reduce((sum, { acknowledged }) => sum + acknowledged, 0) }
}

async function runRound({ child, address }: Started, writers: readonly Writer[], home: string, moment: number) {
  const client = new RemotingClient()
  const ended = once(child, 'exit')
  try {
    const found = await valuesOf(client, address)
    for (const writer of writers) writer.settle(found.get(writer.key))
    const leftovers = (await readdir(join(home, 'namesrv'))).filter(name => /\.new$|corrupt|foreign/.test(name))
    assert.deepEqual(leftovers, [], 'after the restart')
    let left = 1 + Math.floor(moment * LATEST_KILL)
    const killAtMoment = (): void => {
      if (--left === 0) child.kill('SIGKILL')
    }
    const writing = Promise.all(writers.map(writer => writer.run(client, address, killAtMoment)))
    await Promise.all([writing, ended])
  } finally {
    await client.close()
  }
  const onDisk = await valuesOnDisk(home)
  for (const writer of writers) writer.check(onDisk.get(writer.key), 'on disk after the kill')
}

async function main(): Promise<void> {
  const rounds = Number(process.argv[2] ?? 1000)
  const begin = performance.now()
  const report = await killRounds(rounds, Math.random, round => {
    if (round % 100 === 0) console.log(`${round} kills`)
  })
  const seconds = Math.round((performance.now() - begin) / 1000)
  console.log(`${report.rounds} kills in ${seconds} s, ${report.acknowledged} acknowledged changes: none lost`)
}

if (import.meta.main) await main()

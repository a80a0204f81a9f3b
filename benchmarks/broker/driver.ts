// Load driver for brokers on machines without a C compiler, with the arguments, plan and output of driver.c.
//
// node driver.ts PLAN HOST PORT CONNECTIONS IN_FLIGHT WARM_MS RUN_MS SERVER_PID
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { driverArguments, fail, measure, seen, waitFor } from '../harness/driver-run.ts'
import { type Frame, type Plan, readPlan } from './plan.ts'

const RECEIVE_BYTES = 256 * 1024
const FIRST_OPAQUE = 1_000_000
const SUCCESS = 0
const PULL_NOT_FOUND = 19
const EMPTY_PULLS = new Set([PULL_NOT_FOUND, 20, 21])

let nextKey = Date.now() >>> 0
let hasComplained = false

/** What all connections do. */
interface Script {
  readonly plan: Plan
  readonly connections: number
  readonly depth: number
}

/** A connection with a number of slots, each with one request in flight. The opaque of a request is its slot. */
class LoadConnection {
  readonly #socket: net.Socket
  readonly #script: Script
  readonly #index: number
  readonly #issued: Float64Array
  readonly #offsets: number[]
  #next: number
  #rest: Buffer = Buffer.alloc(0)

  private constructor(script: Script, index: number, target: net.NetConnectOpts) {
    const { plan, depth, connections } = script
    this.#script = script
    this.#index = index
    this.#issued = new Float64Array(depth)
    this.#offsets = Array.from({ length: depth }, (_, slot) => this.#pullOf(slot).first)
    this.#next = Math.floor((index * plan.length) / connections)
    const buffer = Buffer.allocUnsafeSlow(RECEIVE_BYTES)
    this.#socket = net.connect({
      ...target,
      noDelay: true,
      onread: { buffer, callback: size => this.#receive(buffer.subarray(0, size)) },
    })
    this.#socket.on('error', fail)
    this.#socket.on('end', () => fail(new Error('the broker closed a connection')))
  }

  static async open(script: Script, index: number, target: net.NetConnectOpts): Promise<LoadConnection> {
    const connection = new LoadConnection(script, index, target)
    await new Promise<void>(resolve => void connection.#socket.once('connect', resolve))
    return connection
  }

  begin(): void {
    const requests = Array.from({ length: this.#script.depth }, (_, slot) => this.#issue(slot, performance.now()))
    this.#socket.write(Buffer.concat(requests))
  }

  #pullOf(slot: number): Frame {
    const { plan, depth } = this.#script
    return plan[(this.#index * depth + slot) % plan.length] as Frame
  }

  #issue(slot: number, now: number): Buffer {
    const { plan } = this.#script
    this.#issued[slot] = now
    const isPull = (plan[0] as Frame).offsetAt > 0
    if (isPull) return pullBytes(this.#pullOf(slot), this.#offsets[slot] as number, slot)
    const frame = plan[this.#next] as Frame
    this.#next = (this.#next + 1) % plan.length
    return sendBytes(frame, slot)
  }

  #receive(chunk: Buffer): boolean {
    seen.bytes += chunk.length
    const now = performance.now()
    const requests: Buffer[] = []
    let rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    while (rest.length >= 8 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const size = 4 + rest.readUInt32BE(0)
      requests.push(this.#answered(rest.toString('latin1', 8, 8 + (rest.readUInt32BE(4) & 0xffffff)), now))
      rest = rest.subarray(size)
    }
    // The buffer is used again for the next chunk.
    this.#rest = Buffer.from(rest)
    if (requests.length > 0)
      this.#socket.write(requests.length === 1 ? (requests[0] as Buffer) : Buffer.concat(requests))
    return true
  }

  /** Counts an answer and returns the next request of its slot. */
  #answered(head: string, now: number): Buffer {
    const code = numberOf(/"code":(\d+)/, head)
    const slot = numberOf(/"opaque":(\d+)/, head) - FIRST_OPAQUE
    const issued = this.#issued[slot]
    if (!issued) fail(new Error('an answer without a request'))
    const isPull = (this.#script.plan[0] as Frame).offsetAt > 0
    if (code === SUCCESS) {
      seen.answers++
      seen.times.add((now - issued) * 1000)
      seen.messages += isPull ? this.#moveOn(slot, code, head) : 1
    } else if (isPull && EMPTY_PULLS.has(code)) this.#moveOn(slot, code, head)
    else {
      seen.refused++
      if (!hasComplained) process.stderr.write(`${head}\n`)
      hasComplained = true
    }
    return this.#issue(slot, now)
  }

  /** Moves the offset of a pull. Returns how many messages it brought. */
  #moveOn(slot: number, code: number, head: string): number {
    const { first, end } = this.#pullOf(slot)
    const before = this.#offsets[slot] as number
    const next = numberOf(/"nextBeginOffset":"(\d+)"/, head)
    const reached = code === PULL_NOT_FOUND ? before : next
    this.#offsets[slot] = end > 0 && (reached >= end || code !== SUCCESS) ? first : reached
    return code === SUCCESS ? next - before : 0
  }
}

function numberOf(pattern: RegExp, head: string): number {
  const found = pattern.exec(head)?.[1]
  return found === undefined ? -1 : Number(found)
}

function sendBytes({ bytes, opaqueAt, keyAt }: Frame, slot: number): Buffer {
  const copy = Buffer.from(bytes)
  copy.write(String(FIRST_OPAQUE + slot), opaqueAt, 'latin1')
  nextKey = (nextKey + 1) >>> 0
  copy.write(nextKey.toString(16).toUpperCase().padStart(8, '0'), keyAt, 'latin1')
  return copy
}

function pullBytes({ bytes, opaqueAt, offsetAt }: Frame, offset: number, slot: number): Buffer {
  const digits = Buffer.from(String(offset))
  const copy = Buffer.concat([bytes.subarray(0, offsetAt), digits, bytes.subarray(offsetAt)])
  copy.writeUInt32BE(copy.length - 4, 0)
  copy.writeUInt32BE(bytes.readUInt32BE(4) + digits.length, 4)
  copy.write(String(FIRST_OPAQUE + slot), opaqueAt + digits.length, 'latin1')
  return copy
}

const given = driverArguments()
const { planPath, target, depth } = given
const script: Script = { plan: readPlan(readFileSync(planPath)), connections: given.connections, depth }

const connections: LoadConnection[] = []
for (let i = 0; i < given.connections; i++) connections.push(await LoadConnection.open(script, i, target))
process.stdout.write('primed\n')
for (const connection of connections) connection.begin()
await measure(given, waitFor)

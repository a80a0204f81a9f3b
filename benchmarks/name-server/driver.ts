// Load driver for machines without a C compiler, with the arguments, plan and output of driver.c.
//
// node driver.ts PLAN HOST PORT CONNECTIONS IN_FLIGHT WARM_MS RUN_MS SERVER_PID [PER_SECOND]
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { driverArguments, fail, isStopped, measure, seen, waitFor } from '../harness/driver-run.ts'
import { type Lane, type Plan, readPlan } from './plan.ts'

const RECEIVE_BYTES = 256 * 1024
const CHECK_EVERY = 64

/** The frames of a lane concatenated twice, so that any sequence of them is one slice. For small frames only. */
interface Strip {
  readonly bytes: Buffer
  readonly offsets: readonly number[]
}

function stripOf(plan: Plan, lane: Lane): Strip | undefined {
  const frames = plan.frames.slice(lane.first, lane.first + lane.count)
  if (frames.some(frame => frame.body !== undefined)) return undefined
  const heads = frames.map(frame => frame.head)
  const offsets = [0]
  for (const head of [...heads, ...heads]) offsets.push((offsets.at(-1) as number) + head.length)
  return { bytes: Buffer.concat([...heads, ...heads]), offsets }
}

/** What a connection sends. */
interface Script {
  readonly plan: Plan
  readonly lane: Lane
  readonly strip: Strip | undefined
  readonly depth: number
  readonly start: number
}

/** A connection that writes prepared frames and counts answers. */
class LoadConnection {
  readonly #socket: net.Socket
  readonly #script: Script
  readonly #issued: Float64Array
  #next: number
  #oldest = 0
  #inFlight = 0
  #length = 0
  #lengthBytes = 0
  #left = 0
  refill = false
  onAnswer: () => void = () => {}

  private constructor(script: Script, target: net.NetConnectOpts) {
    this.#script = script
    this.#next = script.start
    this.#issued = new Float64Array(script.depth)
    const buffer = Buffer.allocUnsafeSlow(RECEIVE_BYTES)
    const callback = (size: number) => this.#receive(buffer, size)
    this.#socket = net.connect({ ...target, noDelay: true, onread: { buffer, callback } })
    this.#socket.on('error', fail)
    this.#socket.on('end', () => fail(new Error('the server closed a connection')))
  }

  static async open(script: Script, target: net.NetConnectOpts): Promise<LoadConnection> {
    const connection = new LoadConnection(script, target)
    await new Promise<void>(resolve => void connection.#socket.once('connect', resolve))
    return connection
  }

  get busy(): boolean {
    return this.#inFlight === this.#script.depth
  }

  /** Sends up to `count` frames, as many as may be in flight. */
  issue(count: number): void {
    const { depth, lane, plan, strip } = this.#script
    const now = performance.now()
    const sent = Math.min(count, depth - this.#inFlight, lane.count)
    for (let i = 0; i < sent; i++) this.#issued[(this.#oldest + this.#inFlight++) % depth] = now
    if (strip) this.#socket.write(strip.bytes.subarray(strip.offsets[this.#next], strip.offsets[this.#next + sent]))
    else for (let i = 0; i < sent; i++) this.#writeFrame(plan, lane.first + ((this.#next + i) % lane.count))
    this.#next = (this.#next + sent) % lane.count
  }

  /** Sends one frame and waits for its answer. */
  async prime(): Promise<void> {
    const answer = new Promise<void>(resolve => (this.onAnswer = resolve))
    this.issue(1)
    await answer
    this.onAnswer = () => {}
  }

  #writeFrame(plan: Plan, index: number): void {
    const frame = plan.frames[index] as Plan['frames'][number]
    this.#socket.cork()
    this.#socket.write(frame.head)
    if (frame.body !== undefined) this.#socket.write(plan.bodies[frame.body] as Buffer)
    this.#socket.uncork()
  }

  #receive(chunk: Buffer, size: number): boolean {
    const before = this.#inFlight
    this.#walk(chunk, size, performance.now())
    if (this.refill && this.#inFlight < before) this.issue(this.#script.depth)
    return true
  }

  #walk(chunk: Buffer, size: number, now: number): void {
    let at = 0
    while (at < size) {
      if (this.#left > 0) {
        const step = Math.min(this.#left, size - at)
        at += step
        this.#left -= step
        if (this.#left === 0) this.#answered(now)
        continue
      }
      this.#length = this.#length * 256 + (chunk[at++] as number)
      if (++this.#lengthBytes < 4) continue
      if (seen.answers % CHECK_EVERY === 0 && size - at >= 64) checkAnswer(chunk, at, size)
      seen.bytes += 4 + this.#length
      this.#left = this.#length
      this.#length = this.#lengthBytes = 0
    }
  }

  #answered(now: number): void {
    if (this.#inFlight === 0) fail(new Error('an answer without a request'))
    seen.times.add((now - (this.#issued[this.#oldest] as number)) * 1000)
    this.#oldest = (this.#oldest + 1) % this.#script.depth
    this.#inFlight--
    seen.answers++
    this.onAnswer()
  }
}

function checkAnswer(chunk: Buffer, at: number, size: number): void {
  if (!chunk.toString('latin1', at, Math.min(size, at + 256)).includes('"code":0')) seen.refused++
}

/** Sends at a fixed rate, in turn, for `ms`. A connection whose requests are all in flight misses its turn. */
async function keepPace(connections: readonly LoadConnection[], perSecond: number, ms: number): Promise<void> {
  const begin = performance.now()
  for (let turn = 0; ; turn++) {
    const due = begin + (turn * 1000) / perSecond
    if (due >= begin + ms || isStopped()) return
    await waitFor(due - performance.now())
    const connection = connections[turn % connections.length] as LoadConnection
    if (connection.busy) seen.missed++
    else connection.issue(1)
  }
}

const given = driverArguments()
const { target, depth, perSecond } = given
const plan = readPlan(readFileSync(given.planPath))
const strips = plan.lanes.map(lane => stripOf(plan, lane))

const connections: LoadConnection[] = []
for (let i = 0; i < given.connections; i++) {
  const lane = plan.lanes[i % plan.lanes.length] as Lane
  const start = plan.lanes.length === 1 ? Math.floor((i * lane.count) / given.connections) : 0
  const connection = await LoadConnection.open({ plan, lane, strip: strips[i % strips.length], depth, start }, target)
  await connection.prime()
  connections.push(connection)
}
process.stdout.write('primed\n')

if (perSecond === 0) {
  for (const connection of connections) {
    connection.refill = true
    connection.issue(depth)
  }
}
await measure(given, ms => (perSecond > 0 ? keepPace(connections, perSecond, ms) : waitFor(ms)))

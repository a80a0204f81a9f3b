import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { BrokerStartOptions } from '@gantrymq/broker'
import { encodeFrame, ONEWAY_FLAG, Outbox, type SerializeType } from '@gantrymq/remoting'
import { type Disk, MemoryDisk } from '@gantrymq/store'
import { brokerInMemory, type InMemory } from './broker-in-memory.ts'
import { settle } from './requests.ts'

/** A request as a frame of it is written. */
export interface RawRequest {
  readonly code: number
  readonly fields: Readonly<Record<string, string>>
  readonly body?: Buffer
  readonly serializeType?: SerializeType
  readonly isOneway?: boolean
  readonly version?: number
}

let lastOpaque = 0

export function frameOf({
  code,
  fields,
  body,
  serializeType = 'JSON',
  isOneway = false,
  version = 409,
}: RawRequest): Buffer {
  return encodeFrame(
    {
      code,
      language: 'JAVA',
      version,
      opaque: ++lastOpaque,
      flag: isOneway ? ONEWAY_FLAG : 0,
      remark: null,
      extFields: new Map(Object.entries(fields)),
      body: body ?? null,
      serializeType,
    },
    new Outbox(),
  )
}

/** The frames of some replies. Those to one read may come in any order, so they are sorted. */
function framesIn(bytes: Buffer): string[] {
  const frames: string[] = []
  for (let at = 0, end = 0; at < bytes.length; at = end) {
    end = at + 4 + bytes.readInt32BE(at)
    frames.push(bytes.toString('latin1', at, end))
  }
  return frames.toSorted()
}

/** A broker, and a connection to it on which frames are played. */
class Player {
  readonly mq: InMemory
  #replies: Buffer[] = []
  #write: (frame: Buffer) => void = () => {}
  #isClosed = true

  constructor(mq: InMemory) {
    this.mq = mq
  }

  /** What the broker sends back; a connection that it has closed is opened again. */
  async play(frame: Buffer): Promise<string> {
    if (this.#isClosed) await this.#connect()
    this.#write(frame)
    await settle()
    const replies = framesIn(Buffer.concat(this.#replies))
    this.#replies = []
    return this.#isClosed ? [...replies, 'closed'].join('\n') : replies.join('\n')
  }

  async #connect(): Promise<void> {
    const stream = await this.mq.dial(this.mq.brokerAddress, AbortSignal.timeout(1000))
    this.#isClosed = false
    stream.on('data', (chunk: Buffer) => this.#replies.push(chunk))
    stream.on('close', () => (this.#isClosed = true))
    this.#write = frame => stream.write(frame)
  }

  /** Everything that the requests so far have changed. */
  state(): unknown {
    const { broker, clock } = this.mq
    const { store, metrics } = broker
    const latency = (name: string): boolean => name.startsWith('rocketmq_rpc') || name.includes('event_loop')
    const families = metrics.families().filter(({ name }) => !latency(name))
    const answered = metrics.rpc.family()
    assert.equal(answered.type, 'histogram')
    const counts = answered.histograms.map(({ labels, counts: buckets }) => [
      labels,
      Array.from(buckets).reduce((sum, count) => sum + count, 0),
    ])
    const queues = [...store.queues()].map(({ topic, id, minOffset, maxOffset }) => [topic, id, minOffset, maxOffset])
    return { end: store.end, queues, families, counts, now: clock.now() }
  }

  async log(): Promise<Buffer> {
    const { store } = this.mq.broker
    return (await store.peek(0, store.end)) ?? Buffer.alloc(0)
  }
}

/** The bytes around the first difference of two logs; undefined if they are the same. */
function difference(one: Buffer, other: Buffer): string | undefined {
  if (one.equals(other)) return undefined
  let at = 0
  while (one[at] === other[at]) at++
  const around = (log: Buffer): string => JSON.stringify(log.toString('latin1', at - 100, at + 100))
  return `at ${at}: ${around(one)} and ${around(other)}`
}

/** A broker with the fast path and one without, which get the same requests. */
export interface BothWays {
  readonly fast: InMemory
  readonly long: InMemory
  /** Plays a frame to both, and compares what they answer. @returns What they answered */
  readonly play: (frame: Buffer, what: string) => Promise<string>
  /** Compares what both have stored and counted. */
  readonly compare: (what: string) => Promise<void>
}

export async function bothWays(
  t: TestContext,
  options: BrokerStartOptions = {},
  disks: readonly [Disk, Disk] = [new MemoryDisk(), new MemoryDisk()],
): Promise<BothWays> {
  const start = async (more: BrokerStartOptions) => new Player(await brokerInMemory(t, { ...options, ...more }))
  const fast = await start({ disk: disks[0] })
  // A broker whose caller gets the requests in its place has no fast path.
  const long = await start({ disk: disks[1], onRequest: (_, dispatch) => dispatch() })
  return {
    fast: fast.mq,
    long: long.mq,
    async play(frame, what) {
      const answer = await fast.play(frame)
      assert.equal(answer, await long.play(frame), what)
      return answer
    },
    async compare(what) {
      assert.equal(difference(await fast.log(), await long.log()), undefined, what)
      assert.deepEqual(fast.state(), long.state(), what)
    },
  }
}

// npm run fuzz [-- options]: gives all decoders random inputs; see the help.
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads'
import { describeFailure, type FuzzFailure, fuzzLarge, fuzzOnce, type FuzzTarget, inputOf } from '@gantrymq/testkit'
import { fuzzSockets } from './fuzz-sockets.ts'

const help = `npm run fuzz -- [options]

Gives all decoders random inputs: valid bytes with a few changes, random words, random bytes. It ends at the first input that
a decoder does not survive, and prints how to repeat it. The targets are in packages/*/test/fuzz-targets.ts.

  --inputs N      how many inputs, all targets together (100000); 1e7 takes a quarter of an hour on an idle core
  --seed N        where the random numbers start; default: the time
  --only WORDS    targets whose names have one of the words, separated by commas
  --at INDEX      only the input with this number
  --list          the names of the targets
  --sockets N     instead: N connections with random bytes to the name server, while others use it
`

const ROUNDS = 10
const INPUTS_PER_TURN = 64
/** A heap that has grown by more after a garbage collection, between two rounds of the same targets, has a leak. */
const LEAK_BYTES = 16 << 20
const COLLECTIONS = 4
const RELEASE_MS = 100
/** How long one input may take before the run is given up. */
const HANG_MS = 120_000
const WATCH_MS = 1000

interface Run {
  readonly inputs: number
  readonly seed: number
  readonly only: readonly string[]
  /** Which target and which input is being read, for the thread that watches. */
  readonly progress: Float64Array<SharedArrayBuffer>
}

type Outcome = { readonly failure: FuzzFailure } | { readonly leak: number } | { readonly done: number }

async function targetsNamed(only: readonly string[]): Promise<FuzzTarget[]> {
  const files = globSync('packages/*/test/fuzz-targets.ts', { cwd: join(import.meta.dirname, '..') }).toSorted()
  const modules = await Promise.all(
    files.map(file => import(join(import.meta.dirname, '..', file)) as Promise<{ readonly targets: FuzzTarget[] }>),
  )
  const all = modules.flatMap(({ targets }) => targets)
  return all.filter(({ name }) => only.length === 0 || only.some(word => name.includes(word)))
}

/** Bytes in use after garbage collections. Buffers are released by another thread, some time after the collection. */
async function heapBytes(): Promise<number> {
  let fewest = Number.POSITIVE_INFINITY
  for (let i = 0; i < COLLECTIONS; i++) {
    globalThis.gc?.()
    await sleep(RELEASE_MS)
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    fewest = Math.min(fewest, heapUsed + arrayBuffers)
  }
  return fewest
}

/** Every target reads its part of the inputs in rounds, so that the heap can be compared after equal work. */
async function fuzz({ inputs, seed, only, progress }: Run): Promise<Outcome> {
  const targets = await targetsNamed(only)
  const shares = targets.reduce((sum, { share = 1 }) => sum + share, 0)
  let done = 0
  let warm = 0
  for (const [number, target] of targets.entries()) {
    progress[0] = number
    const failure = await fuzzLarge(target, index => (progress[1] = -1 - index))
    if (failure) return { failure }
  }
  for (let round = 0; round < ROUNDS; round++) {
    for (const [number, target] of targets.entries()) {
      const each = Math.ceil((inputs * (target.share ?? 1)) / shares / ROUNDS)
      progress[0] = number
      for (let index = round * each; index < (round + 1) * each; index++) {
        progress[1] = index
        // What zlib and streams release, they release in a later turn of the event loop.
        if (index % INPUTS_PER_TURN === 0) await turn()
        const failure = await fuzzOnce(target, seed, index)
        if (failure) return { failure }
        done++
      }
      progress[2] = done
    }
    // Caches have filled in the first rounds.
    if (round === 1) warm = await heapBytes()
  }
  const leak = (await heapBytes()) - warm
  return leak > LEAK_BYTES ? { leak } : { done }
}

/** Runs in another thread, so that an endless loop is noticed. */
async function watch(run: Run): Promise<boolean> {
  const targets = await targetsNamed(run.only)
  const worker = new Worker(import.meta.filename, { workerData: run })
  let before = ''
  let since = performance.now()
  const timer = setInterval(() => {
    const [number = 0, index = 0, done = 0] = run.progress
    const now = `${number} ${index}`
    if (now !== before) since = performance.now()
    before = now
    if (performance.now() - since < HANG_MS) return
    const target = targets[number] as FuzzTarget
    const why = `it took more than ${HANG_MS} ms`
    const input = index < 0 ? Buffer.alloc(0) : inputOf(target, run.seed, index)
    console.log(describeFailure({ target: target.name, seed: run.seed, index, input, why }), `after ${done} inputs`)
    process.exit(1)
  }, WATCH_MS)
  try {
    const outcome = await new Promise<Outcome>((resolve, reject) =>
      worker.once('message', resolve).once('error', reject),
    )
    return report(outcome, targets)
  } finally {
    clearInterval(timer)
  }
}

function report(outcome: Outcome, targets: readonly FuzzTarget[]): boolean {
  if ('failure' in outcome) {
    // A message between threads turns a Buffer into plain bytes.
    console.log(describeFailure({ ...outcome.failure, input: Buffer.from(outcome.failure.input) }))
    return false
  }
  if ('leak' in outcome) {
    console.log(`the heap has grown by ${Math.round(outcome.leak / 1024)} KiB between rounds of equal work`)
    return false
  }
  const rss = Math.round(process.resourceUsage().maxRSS / 1024)
  console.log(`${outcome.done} inputs, ${targets.length} targets: all survived; ${rss} MB at most`)
  return true
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      inputs: { type: 'string', default: '100000' },
      seed: { type: 'string', default: String(Date.now() % 1_000_000_000) },
      only: { type: 'string', default: '' },
      at: { type: 'string' },
      list: { type: 'boolean', default: false },
      sockets: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return console.log(help)
  const only = values.only.split(',').filter(word => word !== '')
  const targets = await targetsNamed(only)
  if (values.list) return console.log(targets.map(({ name }) => name).join('\n'))
  if (targets.length === 0) throw new Error(`no target has a name with ${values.only}; --list has the names`)
  const seed = Number(values.seed)
  if (values.at !== undefined) return repeat(targets, seed, Number(values.at))
  console.log(`seed ${seed}`)
  if (values.sockets !== undefined) return attack(Number(values.sockets), seed)
  const progress = new Float64Array(new SharedArrayBuffer(24))
  if (!(await watch({ inputs: Number(values.inputs), seed, only, progress }))) process.exitCode = 1
}

async function attack(connections: number, seed: number): Promise<void> {
  const { bytes, answered, slowestMs, rssMb } = await fuzzSockets(await targetsNamed([]), connections, seed)
  const kept = `memory ${rssMb.start} MB, at most ${rssMb.most} MB, at the end ${rssMb.end} MB`
  console.log(`${connections} connections, ${Math.round(bytes / 1024)} KiB: ${kept}`)
  console.log(`${answered} queries of others were answered, the slowest in ${Math.round(slowestMs)} ms`)
}

async function repeat(targets: readonly FuzzTarget[], seed: number, index: number): Promise<void> {
  for (const target of targets) {
    const failure = await fuzzOnce(target, seed, index)
    console.log(
      failure ? describeFailure(failure) : `${target.name} survives ${inputOf(target, seed, index).toString('hex')}`,
    )
    if (failure) process.exitCode = 1
  }
}

if (isMainThread) await main()
else {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- that is for windows of a browser
  parentPort?.postMessage(await fuzz(workerData as Run))
}

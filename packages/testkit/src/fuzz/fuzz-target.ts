import { RemotingError } from '@gantrymq/remoting'
import type { Corpus } from './mutate.ts'
import { randomInput } from './mutate.ts'
import { Random } from './random.ts'

/** A decoder that is given random inputs. */
export interface FuzzTarget {
  /** What it reads: `frames`. */
  readonly name: string
  /** Valid inputs, which are changed at random. */
  readonly samples: readonly Uint8Array[]
  /** Words that the decoder knows, for example names of members. */
  readonly words?: readonly string[]
  /** How many inputs it gets, relative to the others. Default 1. */
  readonly share?: number
  /**
   * Reads an input and checks what comes out: that two readers agree, that what is written again reads the same. Throws an
   * AssertionError if not.
   */
  read(input: Buffer): void | Promise<void>
  /** Whether an error is one that the decoder declares. */
  declares(error: unknown): boolean
}

/** Whether an error has one of these codes: for `FuzzTarget.declares`. */
export function failsWith(...codes: readonly RemotingError['code'][]): (error: unknown) => boolean {
  return error => error instanceof RemotingError && codes.includes(error.code)
}

/** What a function returns, or the code of the error it throws. */
export function outcome<T>(read: () => T): T | string {
  try {
    return read()
  } catch (error) {
    if (error instanceof RemotingError) return error.code
    throw error
  }
}

/** An input that a decoder did not survive. */
export interface FuzzFailure {
  readonly target: string
  readonly seed: number
  readonly index: number
  readonly input: Buffer
  readonly why: string
}

/** The longest that an input of at most 32 KiB may take, milliseconds. */
const SLOW_MS = 250

const corpora = new WeakMap<FuzzTarget, Corpus>()

function corpusOf(target: FuzzTarget): Corpus {
  let corpus = corpora.get(target)
  if (corpus === undefined) {
    corpus = {
      samples: target.samples.map(sample => Buffer.from(sample)),
      words: (target.words ?? []).map(word => Buffer.from(word)),
    }
    corpora.set(target, corpus)
  }
  return corpus
}

/** The input with a number. It depends on nothing else, so that any input can be repeated. */
export function inputOf(target: FuzzTarget, seed: number, index: number): Buffer {
  return randomInput(new Random(seed, index), corpusOf(target))
}

/** Has the target read the input with a number. @returns undefined if it survives */
export async function fuzzOnce(target: FuzzTarget, seed: number, index: number): Promise<FuzzFailure | undefined> {
  const input = inputOf(target, seed, index)
  const why = await problemWith(target, input)
  return why === undefined ? undefined : { target: target.name, seed, index, input, why }
}

const LARGE_BYTES = 256 * 1024
const LARGE_SLOW_MS = 1_000
const SAMPLES_ENLARGED = 3

/**
 * Large inputs of many equal parts, which show work that grows with the square of the length: each word of the target, repeated,
 * alone and within a sample.
 */
function largeInputs(target: FuzzTarget): Buffer[] {
  const { samples, words } = corpusOf(target)
  const few = samples.slice(0, SAMPLES_ENLARGED)
  return [...words, ...few].flatMap(part => {
    const many = Buffer.alloc(LARGE_BYTES - (LARGE_BYTES % part.length), part)
    return [many, ...few.map(sample => Buffer.concat([sample.subarray(0, sample.length >> 1), many, sample]))]
  })
}

/** Has the target read its large inputs, which depend on no seed. @returns undefined if it survives */
export async function fuzzLarge(
  target: FuzzTarget,
  onInput: (index: number) => void = () => {},
): Promise<FuzzFailure | undefined> {
  for (const [index, input] of largeInputs(target).entries()) {
    onInput(index)
    const why = await problemWith(target, input, LARGE_SLOW_MS)
    if (why === undefined) continue
    const shown = { input: input.subarray(0, 256), why: `${why}; large input ${index}, only its start is shown` }
    return { target: target.name, seed: 0, index: 0, ...shown }
  }
  return undefined
}

/** What is wrong with how a target reads an input; undefined if nothing is. */
export async function problemWith(target: FuzzTarget, input: Buffer, slowMs = SLOW_MS): Promise<string | undefined> {
  const begin = performance.now()
  const why = await wrongWith(target, input)
  if (why !== undefined || performance.now() - begin <= slowMs) return why
  // Other programs may have had the processor meanwhile, so it is read once more, by the time of the processor.
  const before = process.cpuUsage()
  await wrongWith(target, input)
  const { user, system } = process.cpuUsage(before)
  const ms = (user + system) / 1000
  return ms > slowMs ? `it took ${Math.round(ms)} ms` : undefined
}

async function wrongWith(target: FuzzTarget, input: Buffer): Promise<string | undefined> {
  try {
    const reading = target.read(Buffer.from(input))
    if (reading !== undefined) await reading
  } catch (error) {
    if (!target.declares(error)) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  }
  return undefined
}

/** The failure with all that is needed to repeat it. */
export function describeFailure({ target, seed, index, input, why }: FuzzFailure): string {
  return `${target} failed: ${why}\nrepeat: npm run fuzz -- --only ${target} --seed ${seed} --at ${index}\ninput: ${input.toString('hex')}`
}

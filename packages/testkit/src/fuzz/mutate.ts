import type { Random } from './random.ts'

/** Longest input, bytes: larger ones only take longer. */
const LONGEST = 32 * 1024
const MOST_CHANGES = 6

/** Numbers at which decoders change their mind. */
const edges = [0, 1, -1, 2, 4, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x10000, 0xffffff, 0x7fffffff, -0x80000000]

export interface Corpus {
  /** Valid inputs. */
  readonly samples: readonly Buffer[]
  /** Words that the decoder knows. */
  readonly words: readonly Buffer[]
}

/** A random input: nearly always a sample with a few changes, sometimes random words or bytes. */
export function randomInput(random: Random, corpus: Corpus): Buffer {
  const kind = random.below(20)
  if (kind === 0) return random.bytes(random.mostlySmall(512))
  if (kind === 1 && corpus.words.length > 0) return randomWords(random, corpus.words)
  let input = random.pick(corpus.samples)
  for (let changes = 1 + random.below(MOST_CHANGES); changes > 0; changes--) input = changed(input, random, corpus)
  return input.subarray(0, LONGEST)
}

function randomWords(random: Random, words: readonly Buffer[]): Buffer {
  return Buffer.concat(Array.from({ length: 1 + random.below(24) }, () => random.pick(words)))
}

function changed(input: Buffer, random: Random, { samples, words }: Corpus): Buffer {
  const at = random.below(input.length + 1)
  switch (random.below(11)) {
    case 0:
      return replaced(input, at, Buffer.of((input[at] ?? 0) ^ (1 << random.below(8))))
    case 1:
      return replaced(input, at, random.bytes(1 + random.below(4)))
    case 2:
      return replaced(input, at, edge(random))
    case 3:
      return spliced(input, at, 0, random.bytes(1 + random.mostlySmall(64)))
    case 4:
      return spliced(input, at, random.mostlySmall(input.length + 1), Buffer.alloc(0))
    case 5:
      return input.subarray(0, at)
    case 6:
      return spliced(input, at, 0, part(input, random))
    case 7:
      return spliced(input, at, random.mostlySmall(input.length + 1), part(random.pick(samples), random))
    case 8:
      return spliced(input, at, 0, repeated(part(input, random), random))
    default:
      return words.length === 0 ? input : spliced(input, at, random.below(2) * random.below(12), random.pick(words))
  }
}

function edge(random: Random): Buffer {
  const value = random.pick(edges)
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(BigInt(value))
  return bytes.subarray(8 - 2 ** random.below(4))
}

function part(bytes: Buffer, random: Random): Buffer {
  const start = random.below(bytes.length + 1)
  return bytes.subarray(start, start + 1 + random.mostlySmall(256))
}

function repeated(bytes: Buffer, random: Random): Buffer {
  const times = Math.min(random.mostlySmall(4096), Math.floor(LONGEST / Math.max(1, bytes.length)))
  return Buffer.alloc(bytes.length * times, bytes)
}

function replaced(input: Buffer, at: number, by: Buffer): Buffer {
  return spliced(input, at, by.length, by)
}

function spliced(input: Buffer, at: number, removed: number, added: Buffer): Buffer {
  return Buffer.concat([input.subarray(0, at), added, input.subarray(at + removed)])
}

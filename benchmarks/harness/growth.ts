/** Resident memory after a number of messages. */
export interface Sample {
  readonly messages: number
  readonly rssMb: number
}

/** How the resident memory of a process has changed. */
export interface Growth {
  readonly messages: number
  /** Resident memory after half of the messages, where the slope starts, and at the end. */
  readonly fromMb: number
  readonly toMb: number
  /** Slope of the best-fitting line over the second half, MB for a million messages. */
  readonly mbPerMillion: number
}

// Heaps and buffers grow first: at 300,000 messages a second V8 enlarges its heap during the first four million.
const SETTLED_PART = 0.5
const MILLION = 1_000_000

/** Summarizes samples. @throws if there are none */
export function growthOf(samples: readonly Sample[]): Growth {
  const last = samples.at(-1)
  if (!last) throw new Error('no samples')
  const settled = samples.filter(({ messages }) => messages >= last.messages * SETTLED_PART)
  return {
    messages: last.messages,
    fromMb: settled[0]?.rssMb ?? last.rssMb,
    toMb: last.rssMb,
    mbPerMillion: slope(settled) * MILLION,
  }
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, each) => sum + each, 0) / values.length
}

function slope(samples: readonly Sample[]): number {
  const middle = mean(samples.map(({ messages }) => messages))
  const height = mean(samples.map(({ rssMb }) => rssMb))
  let [above, below] = [0, 0]
  for (const { messages, rssMb } of samples) {
    above += (messages - middle) * (rssMb - height)
    below += (messages - middle) ** 2
  }
  return below === 0 ? 0 : above / below
}

import type { DriverKind } from './drive.ts'

/** The options of a run, as its command line has them; see the help of main.ts. */
export interface BenchOptions {
  /** Parts of the names of cases, or whole names. An empty list selects what the other options say. */
  readonly words: readonly string[]
  readonly quick: boolean
  readonly all: boolean
  /** Whether the broker's restart with a large log and its memory over many messages are measured, too. */
  readonly large: boolean
  readonly save: boolean
  /** Names, with commas between them. */
  readonly subjects?: string | undefined
  readonly driver?: DriverKind | undefined
  readonly program?: string | undefined
  readonly seconds?: number | undefined
  readonly rounds?: number | undefined
  /** The size of the log for the broker's restart, GB. */
  readonly gb?: number | undefined
  /** The number of messages of the memory cases. */
  readonly messages?: number | undefined
  readonly json?: string | undefined
  /** The only subject, which runs with Node's profiler. */
  readonly profile?: string | undefined
}

/** The subjects that the command line names; undefined if it names none. @throws Error for an unknown name */
export function namedSubjects<N extends string>(
  { profile, subjects }: BenchOptions,
  names: readonly N[],
): readonly N[] | undefined {
  return (profile ?? subjects)?.split(',').map(word => {
    const found = names.find(each => each === word)
    if (found === undefined) throw new Error(`${word} is not one of ${names.join(', ')}`)
    return found
  })
}

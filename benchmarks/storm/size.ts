/** How large a storm is, and how long its phases last. */
export interface StormSize {
  /** Brokers that register and hang up. Each has every topic. */
  readonly brokers: number
  readonly topics: number
  /** The brokers register one after the other, evenly within this time. */
  readonly registerWithinMs: number
  readonly clients: number
  /** How often each client asks. */
  readonly askEveryMs: number
  readonly quietMs: number
  readonly registeredMs: number
  /** How long the phase lasts at least; it lasts until no route has one of the brokers. */
  readonly hangingUpMs: number
  readonly afterMs: number
}

export const fullSize: StormSize = {
  brokers: 300,
  topics: 10_000,
  registerWithinMs: 30_000,
  clients: 200,
  askEveryMs: 200,
  quietMs: 5_000,
  registeredMs: 5_000,
  hangingUpMs: 2_000,
  afterMs: 3_000,
}

export const quickSize: StormSize = {
  ...fullSize,
  brokers: 60,
  topics: 2_000,
  registerWithinMs: 6_000,
  quietMs: 2_000,
  registeredMs: 2_000,
  hangingUpMs: 1_000,
  afterMs: 2_000,
}

/** `quiet`: only the standing broker has registered. `after`: it is alone again. */
export type Phase = 'quiet' | 'registering' | 'registered' | 'hanging up' | 'after'

export const phases: readonly Phase[] = ['quiet', 'registering', 'registered', 'hanging up', 'after']

/** Topics of a broker that is there before, during and after the storm. Their routes must never fail. */
export const STANDING_TOPICS = 1_000

export function standingTopic(index: number): string {
  return `standing_${String(index).padStart(5, '0')}`
}

import type { Kind } from './kinds.ts'

/** Whether an option may change while the server runs, as operators ask with UPDATE_NAMESRV_CONFIG or UPDATE_BROKER_CONFIG. */
export type WhenChangeable =
  /** Takes effect at once. */
  | 'live'
  /** Accepted and stored; takes effect at the next start. */
  | 'restart'
  /** Refused: it names a path, opens a port or is a limit against abuse. */
  | 'refused'
  /** Refused, and in Apache too: `Can not update config in black list.` */
  | 'black-listed'

/** What is said of an option beside its kind, default and meaning. */
export interface OptionFacts<T> {
  /** The line of Apache that knows the key first; none if it is our own. */
  readonly since?: '4.9' | '5.x'
  /** Default `refused`. */
  readonly change?: WhenChangeable
  /** Key in the configuration file. Default: the option's own name, which is Apache's where Apache has it. */
  readonly property?: string
  /** Apache's Java system property of the same meaning; read from the file too. */
  readonly systemProperty?: string
  /** Environment variable of Apache, weaker than the file. */
  readonly variable?: string
  /** Why the value changes nothing here. Such options are kept and shown, so that Apache's files can stay as they are. */
  readonly without?: string
  /** Never shown. */
  readonly secret?: true
  /** Default of the program, given the user's home folder; the fallback is for servers inside other programs. */
  readonly atHome?: (home: string) => T
}

/** One option: how it is read, what it means, when it may change. */
export interface Option<T> extends Kind<T>, OptionFacts<T> {
  /** What it is when left out. */
  readonly fallback: T
  readonly meaning: string
  readonly change: WhenChangeable
}

/** Declares an option of a table. */
export function option<T>(kind: Kind<T>, fallback: T, meaning: string, facts: OptionFacts<T> = {}): Option<T> {
  return { ...kind, change: 'refused', ...facts, fallback, meaning }
}

import type { Kind } from './kinds.ts'

/** Whether UPDATE_NAMESRV_CONFIG and UPDATE_BROKER_CONFIG may change an option while the server runs. */
export type WhenChangeable =
  /** Takes effect at once. */
  | 'live'
  /** Accepted and stored; takes effect at the next start. */
  | 'restart'
  /** Refused: the option names a path, opens a port, is a limit against abuse or could stop the server's answers. */
  | 'refused'
  /** Refused, as in Apache: `Can not update config in black list.` */
  | 'black-listed'

/** What describes an option besides its kind, default and meaning. */
export interface OptionFacts<T> {
  /** The first release line of Apache that has the key; none if only Gantry has it. */
  readonly since?: '4.9' | '5.x'
  /** Default `refused`. */
  readonly change?: WhenChangeable
  /** Why a change at run time is refused; completes "it cannot be updated at run time, ...". Default: no reason is given. */
  readonly whyRefused?: string
  /** Key in the configuration file. Default: the name of the option, which is Apache's where Apache has the option. */
  readonly property?: string
  /** Apache's Java system property with the same meaning, which may also be a key in the file. */
  readonly systemProperty?: string
  /** Apache's environment variable, which the file overrides. */
  readonly variable?: string
  /** Why the value has no effect here. Such options are accepted and shown, so that Apache's files work unchanged. */
  readonly without?: string
  /** Never shown. */
  readonly secret?: true
  /** Default of the program, given the user's home folder. Servers inside other programs use the fallback. */
  readonly atHome?: (home: string) => T
  /** How the documentation calls a default that depends on the machine. */
  readonly defaultText?: string
}

/** One option: how it is read, what it means and whether it may change. */
export interface Option<T> extends Kind<T>, OptionFacts<T> {
  /** The value when the option is left out. */
  readonly fallback: T
  readonly meaning: string
  readonly change: WhenChangeable
}

/** Declares an option of a table. */
export function option<T>(kind: Kind<T>, fallback: T, meaning: string, facts: OptionFacts<T> = {}): Option<T> {
  return { ...kind, change: 'refused', ...facts, fallback, meaning }
}

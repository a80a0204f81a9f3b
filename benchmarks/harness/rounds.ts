/** Why a subject has no figures. */
export interface Failure {
  readonly error: string
}

/** Something of each subject that took part. */
export type PerSubject<N extends string, T> = Partial<Record<N, T>>

/** The figures of a case with each subject. */
export interface CaseResults<C, N extends string, R> {
  readonly case: C
  readonly results: PerSubject<N, R | Failure>
}

export function hasFailed(result: unknown): result is Failure {
  return typeof result === 'object' && result !== null && 'error' in result
}

export function succeeded<T>(result: T | Failure | undefined): T | undefined {
  return hasFailed(result) ? undefined : result
}

function asFailure(error: unknown): Failure {
  return { error: error instanceof Error ? error.message : String(error) }
}

/** The value in the middle; of two, the larger one. */
export function median<T>(values: readonly T[], by: (value: T) => number): T {
  return values.toSorted((a, b) => by(a) - by(b))[values.length >> 1] as T
}

/**
 * Measures all subjects in each round, so that other load on the machine affects all of them. The median by messages or requests a
 * second counts. A subject that fails takes no part in the later rounds, and has failed.
 */
export async function measureRounds<N extends string, R extends { readonly perSecond: number }>(
  names: readonly N[],
  rounds: number,
  measure: (name: N) => Promise<R>,
): Promise<PerSubject<N, R | Failure>> {
  const failed = new Map<N, Failure>()
  const seen = new Map<N, R[]>(names.map(name => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const [name, results] of seen) {
      if (failed.has(name)) continue
      await measure(name).then(
        result => results.push(result),
        (error: unknown) => failed.set(name, asFailure(error)),
      )
    }
  }
  const all = names.map(name => [name, failed.get(name) ?? median(seen.get(name) ?? [], result => result.perSecond)])
  return Object.fromEntries(all) as PerSubject<N, R | Failure>
}

/** Runs the cases one after the other, says on standard error which one runs, and closes what ran them. */
export async function runCases<C extends { readonly title: string }, T>(
  suite: { run(one: C): Promise<T>; close(): Promise<void> },
  cases: readonly C[],
): Promise<T[]> {
  const results: T[] = []
  try {
    for (const one of cases) {
      process.stderr.write(`${one.title}\n`)
      results.push(await suite.run(one))
    }
  } finally {
    await suite.close()
  }
  return results
}

/** Measures something with each subject, one after the other. A subject that fails keeps no other from being measured. */
export async function withEach<N extends string, S extends { readonly name: N }, T>(
  subjects: readonly S[],
  what: string,
  measure: (subject: S) => Promise<T>,
): Promise<PerSubject<N, T | Failure>> {
  const results: PerSubject<N, T | Failure> = {}
  for (const subject of subjects) {
    process.stderr.write(`${what}: ${subject.name}\n`)
    results[subject.name] = await measure(subject).catch(asFailure)
  }
  return results
}

/** What succeeded, of subjects of which others may have failed. */
export function successes<N extends string, T>(results: PerSubject<N, T | Failure>): PerSubject<N, T> {
  const all = Object.entries(results).filter(([, result]) => !hasFailed(result))
  return Object.fromEntries(all) as PerSubject<N, T>
}

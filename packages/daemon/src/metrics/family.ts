export type Labels = Readonly<Record<string, string>>

export interface Sample {
  readonly labels: Labels
  readonly value: number
}

export interface HistogramSample {
  readonly labels: Labels
  /** How many fell below each bound and above the one before; one more entry than bounds, for the rest. */
  readonly counts: ArrayLike<number>
  readonly sum: number
}

/** One metric with all its series, as plain numbers. What writes them out is handed in by the program. */
export type MetricFamily =
  | {
      readonly type: 'counter' | 'gauge'
      readonly name: string
      readonly help: string
      readonly samples: readonly Sample[]
    }
  | {
      readonly type: 'histogram'
      readonly name: string
      readonly help: string
      /** Upper bounds, rising, each belonging to its own bucket. */
      readonly bounds: readonly number[]
      readonly histograms: readonly HistogramSample[]
    }

/** Anything that has numbers to show. Asked at every scrape. */
export interface MetricSource {
  families(): readonly MetricFamily[] | Promise<readonly MetricFamily[]>
}

/** A metric with one series. */
export function singleSeries(type: 'counter' | 'gauge', name: string, help: string, value: number): MetricFamily {
  return { type, name, help, samples: [{ labels: {}, value }] }
}

/** Writes the metrics out. Handed in by the program, because the format is a library's business. */
export interface MetricsPage {
  readonly contentType: string
  render(): Promise<string>
}

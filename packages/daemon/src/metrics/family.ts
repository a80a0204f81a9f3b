export type Labels = Readonly<Record<string, string>>

export interface Sample {
  readonly labels: Labels
  readonly value: number
}

export interface HistogramSample {
  readonly labels: Labels
  /** How many values are in each bucket, up to its bound; the last entry is for values above all bounds. */
  readonly counts: ArrayLike<number>
  readonly sum: number
}

/** One metric with all its series, as plain numbers. The program provides the code that formats them. */
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
      /** Upper bounds in rising order; each bucket includes its bound. */
      readonly bounds: readonly number[]
      readonly histograms: readonly HistogramSample[]
    }

/** A part of a server that has metrics. It is read at every scrape. */
export interface MetricSource {
  families(): readonly MetricFamily[] | Promise<readonly MetricFamily[]>
}

/** A metric with one series. */
export function singleSeries(type: 'counter' | 'gauge', name: string, help: string, value: number): MetricFamily {
  return { type, name, help, samples: [{ labels: {}, value }] }
}

/** Formats the metrics. The program provides it, so that the server does not depend on a metrics library. */
export interface MetricsPage {
  readonly contentType: string
  render(): Promise<string>
}

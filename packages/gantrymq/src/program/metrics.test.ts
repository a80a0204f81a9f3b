import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MetricFamily } from '@gantrymq/daemon'
import { prometheusPage } from './metrics.ts'

/** The lines of a page that are about `name`, comments included. */
const linesOf = (page: string, name: string) => page.split('\n').filter(line => line.includes(name))

function page(families: MetricFamily[], labels?: Record<string, string>) {
  return prometheusPage({ families: () => families }, labels)
}

test('counters and gauges are written with their labels and values', async () => {
  const families: MetricFamily[] = [
    { type: 'counter', name: 'a_total', help: 'Some.', samples: [{ labels: { x: 'y' }, value: 3 }] },
    { type: 'gauge', name: 'b', help: 'Other.', samples: [{ labels: {}, value: 0.5 }] },
  ]
  const text = await page(families).render()
  assert.deepEqual(linesOf(text, 'a_total'), ['# HELP a_total Some.', '# TYPE a_total counter', 'a_total{x="y"} 3'])
  assert.ok(text.includes('\nb 0.5\n'))
})

test('each bucket of a histogram includes all below it', async () => {
  const histograms = [{ labels: { code: 'x' }, counts: [2, 0, 1, 4], sum: 12.5 }]
  const text = await page([{ type: 'histogram', name: 'h', help: 'H.', bounds: [0.5, 1, 10], histograms }]).render()
  assert.deepEqual(linesOf(text, 'h_'), [
    'h_bucket{code="x",le="0.5"} 2',
    'h_bucket{code="x",le="1"} 2',
    'h_bucket{code="x",le="10"} 3',
    'h_bucket{code="x",le="+Inf"} 7',
    'h_sum{code="x"} 12.5',
    'h_count{code="x"} 7',
  ])
})

test('label values that peers chose cannot break out of their quotes', async () => {
  const samples = [{ labels: { cluster: 'a"} 1\nevil{x="\\' }, value: 1 }]
  const text = await page([{ type: 'gauge', name: 'g', help: 'G.', samples }]).render()
  assert.ok(text.includes('g{cluster="a\\"} 1\\nevil{x=\\"\\\\"} 1'))
})

test('every scrape shows the current numbers, including those of new families', async () => {
  const families: MetricFamily[] = []
  const shown = page(families)
  assert.doesNotMatch(await shown.render(), /^now/m)
  families[0] = { type: 'gauge', name: 'now', help: 'N.', samples: [{ labels: {}, value: 1 }] }
  assert.match(await shown.render(), /^now 1$/m)
  families[0] = { type: 'gauge', name: 'now', help: 'N.', samples: [{ labels: {}, value: 2 }] }
  assert.match(await shown.render(), /^now 2$/m)
})

test('the page has the metrics of the process, and every series has the labels of this server', async () => {
  const text = await page([], { node_id: '10.0.0.1:9876' }).render()
  for (const name of ['process_resident_memory_bytes', 'process_cpu_seconds_total', 'nodejs_heap_size_used_bytes']) {
    assert.match(text, new RegExp(`^${name}\\{node_id="10.0.0.1:9876"\\} [0-9.e+]+$`, 'm'))
  }
})

test('two servers in one process have separate pages', async () => {
  const one = page([{ type: 'gauge', name: 'mine', help: 'M.', samples: [{ labels: {}, value: 1 }] }])
  const two = page([])
  assert.match(await one.render(), /^mine 1$/m)
  assert.doesNotMatch(await two.render(), /^mine/m)
})

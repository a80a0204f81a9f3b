import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ONEWAY, RpcLatency } from './rpc-latency.ts'

function latency() {
  const rpc = new RpcLatency(
    [
      [103, 'REGISTER_BROKER'],
      [105, 'GET_ROUTEINFO_BY_TOPIC'],
    ],
    [
      [0, 'SUCCESS'],
      [17, 'TOPIC_NOT_EXIST'],
    ],
  )
  const series = () => {
    const family = rpc.family()
    assert.equal(family.type, 'histogram')
    return family.histograms.map(({ labels, counts, sum }) => ({
      codes: `${labels['request_code']} ${labels['response_code']} ${labels['result']}`,
      count: Array.from(counts).reduce((a, b) => a + b),
      sum,
    }))
  }
  return { rpc, series }
}

test('requests are counted by the names of request and response code', () => {
  const { rpc, series } = latency()
  rpc.observe(105, 0, 0.5, 16)
  rpc.observe(105, 17, 2)
  rpc.observe(103, 0, 4)
  assert.deepEqual(
    new Set(series()),
    new Set([
      { codes: 'get_routeinfo_by_topic success success', count: 16, sum: 8 },
      { codes: 'get_routeinfo_by_topic topic_not_exist success', count: 1, sum: 2 },
      { codes: 'register_broker success success', count: 1, sum: 4 },
    ]),
  )
})

test('a request without a reply has its own series', () => {
  const { rpc, series } = latency()
  rpc.observe(103, ONEWAY, 1)
  assert.deepEqual(series(), [{ codes: 'register_broker none oneway', count: 1, sum: 1 }])
})

test('all unknown codes share one series', () => {
  const { rpc, series } = latency()
  for (const code of [999, -2, -2147483648, 2147483647, 4095, 4096, 70_000]) rpc.observe(code, code, 1)
  assert.deepEqual(series(), [{ codes: 'other other success', count: 7, sum: 7 }])
})

test('a latency is counted at the first bound that is not below it', () => {
  const { rpc } = latency()
  for (const ms of [0, 1, 1.01, 3000, 3001]) rpc.observe(105, 0, ms)
  const family = rpc.family()
  assert.equal(family.type, 'histogram')
  const [series] = family.histograms
  const filled = Array.from(series?.counts ?? []).flatMap((count, index) =>
    count > 0 ? [[family.bounds[index] ?? 'more', count]] : [],
  )
  assert.deepEqual(filled, [
    [0.05, 1],
    [1, 1],
    [3, 1],
    [3000, 1],
    ['more', 1],
  ])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brokerFiguresTable, clientFiguresTable, figuresTable, readmes, withFigures } from './readme-figures.ts'

test('the READMEs have the figures of the last measurement', () => {
  for (const { path, now, wanted } of readmes()) {
    assert.equal(now, wanted, `run npm run docs: ${path}`)
    assert.match(wanted, /<!-- figures -->\n\|/, path)
  }
})

test("the table computes Apache's figures from the stored ratios and leaves out cases that did not run", () => {
  const table = figuresTable({
    machine: 'a machine',
    node: '24',
    cases: {
      'route-1000x2-16x1': { perSecond: 80_000, serverCpuUs: 12, speedToApache: 2, cpuToApache: 0.5 },
      'route-1000x2-16x16': { perSecond: 416_200, serverCpuUs: 2.4 },
    },
    starts: { ours: { startMs: 120, rssMb: 61.4 }, apache: { startMs: 1880, rssMb: 224 } },
    storm: {
      p99Us: { registering: 2_300, 'hanging up': 900 },
      apacheP99Us: { registering: 413_000, 'hanging up': 511_000 },
    },
  })
  assert.deepEqual(table.split('\n').slice(2), [
    '| start to first answer | 120 ms | 1,880 ms |',
    '| memory, idle | 61.4 MB | 224 MB |',
    '| route queries, 16 connections | 80,000/s, 12 us | 40,000/s, 24 us |',
    '| the same, 16 in flight on each | 416,000/s, 2.4 us |  |',
    '| p99 of a route query while 300 brokers register 10,000 topics each | 2.3 ms | 413 ms |',
    '| the same while all of them hang up | 0.9 ms | 511 ms |',
    '',
    'Measured by `npm run bench` on a machine with Node 24, both servers in one run.',
  ])
})

test("the client's table computes Java's figures from the stored ratios", () => {
  const cases = { 'consume-128': { perSecond: 321_000, cpuUs: 1.97, speedToJava: 1.605, cpuToJava: 0.5 } }
  const table = clientFiguresTable({ full: { machine: 'a machine', node: '24', cases } })
  assert.deepEqual(table.split('\n')[2], '| consume 128 bytes | 321,000/s, 1.97 us | 200,000/s, 3.94 us |')
})

test("the broker's table computes Apache's figures from the stored ratios and takes the least memory", () => {
  const ratios = { speedToApache: 2, cpuToApache: 0.5, p99ToApache: 0.8 }
  const table = brokerFiguresTable({
    full: {
      machine: 'a machine',
      node: '24',
      cases: { 'send-128-16x1': { perSecond: 50_000, cpuUs: 20, p99Us: 1_200, ...ratios } },
      starts: { ours: { startMs: 150, rssMb: 90 }, 'apache-5.5.0': { startMs: 5_000, rssMb: 600 } },
      finalRssMb: { ours: 170, 'apache-4.9.7': 1_700, 'apache-5.5.0': 1_900 },
    },
  })
  assert.deepEqual(table.split('\n').slice(2, -3), [
    '| the same, 16 connections | 50,000/s, 20 us, 1.2 ms | 25,000/s, 40 us, 1.5 ms |',
    '| name server and broker: start to first message | 150 ms | 5,000 ms |',
    '| the same: memory, idle | 90 MB | 600 MB |',
    '| memory of the broker after all loads | 170 MB | 1,700 MB |',
  ])
})

test('withFigures replaces only the text between the marks', () => {
  assert.equal(
    withFigures('a\n<!-- figures -->\nold\n<!-- /figures -->\nb', 'new'),
    'a\n<!-- figures -->\nnew\n<!-- /figures -->\nb',
  )
})

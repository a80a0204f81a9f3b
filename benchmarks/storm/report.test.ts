import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judgeStorm, stormMarkdown } from './report.ts'
import type { StormRun } from './run.ts'
import { quickSize } from './size.ts'
import type { PhaseResult, StormResult } from './storm.ts'

const calm: PhaseResult = {
  ms: 1000,
  answers: 1000,
  failed: 0,
  p50Us: 100,
  p99Us: 1000,
  maxUs: 2000,
  serverCpuMs: 100,
  serverWaitMs: 1,
  rssMb: 80,
}

function result(registering: Partial<PhaseResult>): StormResult {
  const others = { quiet: calm, registered: calm, 'hanging up': calm, after: calm }
  const registered = { refused: 0, ms: 1000, p50Us: 1, p99Us: 2, maxUs: 3 }
  return { phases: { ...others, registering: { ...calm, ...registering } }, registered, goneMs: 50 }
}

function missed(results: StormRun['results']): string[] {
  return judgeStorm({ quick: true, size: quickSize, results }).flatMap(({ what, met }) => (met ? [] : [what]))
}

test('every phase must be answered in 5 ms', () => {
  assert.deepEqual(missed({ ours: result({ p99Us: 6000 }) }), ['storm, registering: p99'])
})

test('every phase must be faster than with Apache', () => {
  const apache = result({ p99Us: 900 })
  const slower = ['quiet', 'registered', 'hanging up', 'after'].map(phase => `storm, ${phase}: p99 to Apache's`)
  assert.deepEqual(missed({ ours: result({ p99Us: 800 }), apache }), slower)
})

test('one failed query misses the goal, and the report says why it failed', () => {
  const ours = result({ failed: 1, firstFailure: 'code 1' })
  assert.deepEqual(missed({ ours }), ['storm: failed queries'])
  assert.match(stormMarkdown({ quick: true, size: quickSize, results: { ours } }), /1 \(code 1\)/)
})

test('the report has the reason why a server failed', () => {
  const run = { quick: true, size: quickSize, results: { apache: { error: 'it ended' } } }
  assert.match(stormMarkdown(run), /Apache 5\.5\.0: it ended/)
})

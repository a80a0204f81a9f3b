import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeFailure, fuzzOnce, type FuzzTarget, problemWith } from './fuzz-target.ts'

const INPUTS = 1_500
const SEED = 1

/** Declares a short test for each target. `npm run fuzz` runs them for longer. */
export function fuzzTests(targets: readonly FuzzTarget[]): void {
  for (const target of targets) {
    test(`reading ${target.name} survives random changes of valid bytes`, async () => {
      for (const sample of target.samples) {
        assert.equal(await problemWith(target, Buffer.from(sample)), undefined, Buffer.from(sample).toString('hex'))
      }
      for (let index = 0; index < INPUTS * (target.share ?? 1); index++) {
        const failure = await fuzzOnce(target, SEED, index)
        if (failure) assert.fail(describeFailure(failure))
      }
    })
  }
}

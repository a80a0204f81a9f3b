import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import { ArrivedChunks } from './arrived-chunks.ts'

test('stale chunks can be dropped while no poll comes', async () => {
  const chunks = new ArrivedChunks<{ readonly isStale: boolean }>(new ManualClock())
  let [isStale, checks] = [false, 0]
  const stale = {
    get isStale() {
      checks++
      return isStale
    },
  }
  const wanted = { isStale: false }
  chunks.put(stale)
  chunks.put(wanted)
  isStale = true
  chunks.dropStale()
  checks = 0
  assert.equal(await chunks.take({}), wanted)
  assert.equal(checks, 0, 'the stale chunk is not there any more')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import { Inbox } from './arrived-chunks.ts'

test('what nobody gets any more can be forgotten while nobody polls', async () => {
  const inbox = new Inbox<{ readonly isStale: boolean }>(new ManualClock())
  let [isStale, looks] = [false, 0]
  const parcel = {
    get isStale() {
      looks++
      return isStale
    },
  }
  const fresh = { isStale: false }
  inbox.put(parcel)
  inbox.put(fresh)
  isStale = true
  inbox.dropStale()
  looks = 0
  assert.equal(await inbox.take({}), fresh)
  assert.equal(looks, 0, 'it is there no more')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { MemoryDisk } from '../files/memory-disk.ts'
import { SegmentList } from '../files/segment-list.ts'
import { Flusher } from './flusher.ts'

test('with SYNC_FLUSH what is written while the messages of a sync are answered is synced next', async () => {
  const disk = new MemoryDisk()
  disk.makeFolder('/log')
  const segments = new SegmentList(disk, '/log', 1000)
  segments.adopt(segments.create(0))
  let written = 10
  const flusher: Flusher = new Flusher({
    segments,
    mode: 'SYNC_FLUSH',
    flushBytes: 1e9,
    written: () => written,
    onFlushed: () => {
      if (written === 20) return
      written = 20
      flusher.onWritten()
    },
    onFailed: error => assert.fail(error),
  })
  flusher.onWritten()
  await turn()
  assert.equal(flusher.flushed, 20)
})

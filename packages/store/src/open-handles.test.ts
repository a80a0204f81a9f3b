import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ManualClock, numbersFrom } from '@gantrymq/remoting/testing'
import { APPENDED } from './append-status.ts'
import type { OpenFile } from './files/disk.ts'
import { MessageStore } from './message-store.ts'
import { type DiskFault, FaultyDisk } from './testing/faulty-disk.ts'
import { message, Turns } from './testing/store-fixture.ts'

/** A disk that counts the files which are open. A file that is closed twice, or used after that, throws. */
class CountingDisk extends FaultyDisk {
  readonly opened = new Set<OpenFile>()

  override open(path: string): OpenFile {
    return this.#counted(super.open(path))
  }

  override create(path: string, size: number): OpenFile {
    return this.#counted(super.create(path, size))
  }

  #counted(file: OpenFile): OpenFile {
    const isOpen = (): void => assert.ok(this.opened.has(counted), `${file.path} is used after it was closed`)
    const counted: OpenFile = {
      ...file,
      get size() {
        return file.size
      },
      write: (...given) => (isOpen(), file.write(...given)),
      writeSync: (...given) => (isOpen(), file.writeSync(...given)),
      datasync: () => (isOpen(), file.datasync()),
      close: () => {
        isOpen()
        this.opened.delete(counted)
      },
    }
    this.opened.add(counted)
    return counted
  }

  get paths(): string[] {
    return [...this.opened].map(({ path }) => path)
  }
}

function storeOn(disk: CountingDisk) {
  const turns = new Turns()
  const clock = new ManualClock()
  const options = { logFileBytes: 4096, queueFileBytes: 400, indexSlots: 16, indexEntries: 64 }
  const opening = MessageStore.open({ disk, root: '/store', clock, schedule: turns.schedule, ...options })
  return { opening, turns, clock }
}

/** Sends so much that the log has several files. */
async function fill(store: MessageStore, turns: Turns): Promise<void> {
  for (let sent = 0; sent < 100; sent++) {
    const queue = store.queueFor(`Topic${sent % 3}`, 0)
    if (store.append(message(queue, `body ${sent}`, `KEYS\u0001k${sent}`)) !== APPENDED) return
    turns.end()
    await turn()
  }
}

test('a store that was closed has no file open', async () => {
  const disk = new CountingDisk({ numbers: numbersFrom(1) })
  const { opening, turns, clock } = storeOn(disk)
  const store = await opening
  await fill(store, turns)
  clock.advance(10_000)
  await turn()
  await store.close()
  assert.deepEqual(disk.paths, [])
  assert.equal(clock.timers, 0)
})

for (const code of ['EIO', 'ENOSPC'] as const) {
  test(`whichever operation fails with ${code}, in the start, the work or the end, no file stays open`, async () => {
    for (let failAt = 1; ; failAt += failAt < 80 ? 1 : 5) {
      let count = 0
      const fault = (): DiskFault | undefined => (++count === failAt ? { fails: code } : undefined)
      const disk = new CountingDisk({ numbers: numbersFrom(failAt), fault })
      for (let life = 0; life < 2; life++) {
        const { opening, turns, clock } = storeOn(disk)
        const store = await opening.catch(() => undefined)
        if (store !== undefined) {
          await fill(store, turns)
          clock.advance(10_000)
          for (let turns = 0; turns < 3; turns++) await turn()
          await store.close().catch(() => {})
        }
        for (let turns = 0; turns < 10; turns++) await turn()
        assert.deepEqual(disk.paths, [], `operation ${failAt}, life ${life}`)
        assert.equal(clock.timers, 0)
      }
      if (count < failAt) break
    }
  })
}

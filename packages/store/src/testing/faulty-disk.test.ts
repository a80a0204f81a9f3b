import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DiskCrash, type DiskFault, FaultyDisk, type Operation } from './faulty-disk.ts'
import { numbersFrom } from '@gantrymq/remoting/testing'

function contents(disk: FaultyDisk, path: string): string {
  const file = disk.open(path)
  const bytes = Buffer.alloc(file.size)
  file.readSync(bytes, 0, bytes.length, 0)
  return bytes.toString('latin1')
}

/** A disk with a durable file `/f` of 2,048 letters a, and letters b written over all of them. */
async function halfWritten(seed: number, fault?: (operation: Operation) => DiskFault | undefined): Promise<FaultyDisk> {
  const disk = new FaultyDisk({ numbers: numbersFrom(seed), ...(fault && { fault }) })
  const file = disk.create('/f', 2_048)
  file.writeSync(Buffer.alloc(2_048, 'a'), 0, 2_048, 0)
  await file.datasync()
  await disk.syncFolder('/')
  file.writeSync(Buffer.alloc(2_048, 'b'), 0, 2_048, 0)
  return disk
}

test('a killed process loses nothing that it wrote', async () => {
  const disk = await halfWritten(1)
  assert.equal(contents(disk.restarted({ power: false }), '/f'), 'b'.repeat(2_048))
})

test('a power failure loses what was not synced, or any of its sectors', async () => {
  assert.equal(contents((await halfWritten(1)).restarted({ power: true, survival: 'none' }), '/f'), 'a'.repeat(2_048))
  assert.equal(contents((await halfWritten(1)).restarted({ power: true, survival: 'all' }), '/f'), 'b'.repeat(2_048))
  const seen = new Set<string>()
  for (let seed = 0; seed < 200; seed++) {
    const bytes = contents((await halfWritten(seed)).restarted({ power: true, survival: 'some' }), '/f')
    assert.match(bytes, /^(a{512}|b{512}){4}$/)
    seen.add(bytes)
  }
  assert.equal(seen.size, 16)
})

test('what a killed process left unsynced is lost in a later power failure', async () => {
  const disk = (await halfWritten(1)).restarted({ power: false })
  assert.equal(contents(disk.restarted({ power: true, survival: 'none' }), '/f'), 'a'.repeat(2_048))
})

test('a sync covers what was written before it began, not what was written meanwhile', async () => {
  const completions: (() => void)[] = []
  const disk = new FaultyDisk({ numbers: numbersFrom(1), complete: completion => completions.push(completion) })
  const file = disk.create('/f', 2)
  const syncs = [disk.syncFolder('/')]
  file.writeSync(Buffer.from('a'), 0, 1, 0)
  syncs.push(file.datasync())
  file.writeSync(Buffer.from('b'), 0, 1, 1)
  for (const complete of completions) complete()
  await Promise.all(syncs)
  assert.equal(contents(disk.restarted({ power: true, survival: 'none' }), '/f'), 'a\0')
})

test('the name of a new file is lost if its folder was not synced, and a removed file comes back', async () => {
  const disk = await halfWritten(1)
  const file = disk.create('/new', 4)
  await file.datasync()
  await disk.unlink('/f')
  const after = disk.restarted({ power: true, survival: 'none' })
  assert.deepEqual([after.exists('/new'), after.exists('/f')], [false, true])
})

test('a file whose name was synced but not its size is empty', async () => {
  const disk = new FaultyDisk({ numbers: numbersFrom(1) })
  disk.create('/f', 100)
  await disk.syncFolder('/')
  assert.equal(disk.restarted({ power: true, survival: 'none' }).open('/f').size, 0)
})

test('a lost folder takes its files along', async () => {
  const disk = new FaultyDisk({ numbers: numbersFrom(1) })
  disk.makeFolder('/a/b')
  disk.create('/a/b/f', 1)
  await disk.syncFolder('/a/b')
  await disk.syncFolder('/a')
  const after = disk.restarted({ power: true, survival: 'none' })
  assert.deepEqual([after.exists('/a'), after.exists('/a/b/f')], [false, false])
})

test('a crash leaves a part of a write, and everything fails from then on', async () => {
  const lengths = new Set<number>()
  for (let seed = 0; seed < 50; seed++) {
    let crashes = false
    const disk = await halfWritten(seed, () => (crashes ? 'crash within' : undefined))
    const file = disk.open('/f')
    crashes = true
    assert.throws(() => file.writeSync(Buffer.alloc(4, 'c'), 0, 4, 0), DiskCrash)
    assert.throws(() => disk.open('/f'), DiskCrash)
    await assert.rejects(file.datasync(), DiskCrash)
    const bytes = contents(disk.restarted({ power: false }, { numbers: numbersFrom(1) }), '/f')
    assert.match(bytes, /^c*b+$/)
    lengths.add(bytes.indexOf('b'))
  }
  assert.deepEqual(
    [...lengths].toSorted((a, b) => a - b),
    [0, 1, 2, 3],
  )
})

test('a sync that fails leaves its changes to be lost, even if the next one succeeds', async () => {
  let fails = false
  const disk = await halfWritten(1, ({ kind }) => (fails && kind === 'datasync' ? { fails: 'EIO' } : undefined))
  const file = disk.open('/f')
  fails = true
  await assert.rejects(file.datasync(), { code: 'EIO' })
  fails = false
  await file.datasync()
  assert.equal(contents(disk.restarted({ power: true, survival: 'all' }), '/f'), 'a'.repeat(2_048))
})

test('operations are counted, and each may fail with the error of an operating system', async () => {
  const seen: string[] = []
  const disk = await halfWritten(1, ({ kind, number }) => {
    seen.push(`${number} ${kind}`)
    return number === 6 ? { fails: 'ENOSPC' } : undefined
  })
  assert.throws(() => disk.create('/g', 1), { code: 'ENOSPC' })
  assert.deepEqual(seen, ['1 create', '2 write', '3 datasync', '4 syncFolder', '5 write', '6 create'])
})

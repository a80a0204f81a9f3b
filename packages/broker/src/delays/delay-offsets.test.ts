import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { silent } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { NodeDisk, WholeFiles } from '@gantrymq/store'
import { DelayOffsets } from './delay-offsets.ts'

async function fileOf(t: TestContext, text: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'delays-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'delayOffset.json')
  await writeFile(path, text)
  return path
}

const open = (path: string) =>
  DelayOffsets.open({ path, files: new WholeFiles(new NodeDisk()), clock: new ManualClock(), log: silent })

test('the files of both lines of Apache are read, and one is written that both read', async t => {
  const path = await fileOf(t, '{\n\t"offsetTable":{3:120,4:7\n\t}\n}')
  const offsets = await open(path)
  assert.deepEqual([...offsets.all], [[3, 120], [4, 7]]) // biome-ignore format: one thought
  offsets.set(4, 8)
  await offsets.close(0, 0)
  assert.equal((await readFile(path, 'utf8')).replace(/\s/g, ''), '{"offsetTable":{3:120,4:8}}')
  const modern = await fileOf(t, '{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":5},"offsetTable":{"2":9}}')
  assert.equal((await open(modern)).get(2), 9)
})

test('offsets are written only when the log is flushed as far as it was when they were taken', async t => {
  const path = await fileOf(t, '{"offsetTable":{1:1}}')
  const offsets = await open(path)
  offsets.set(1, 2)
  offsets.save(1000)
  offsets.set(1, 3)
  await offsets.flushed(999)
  assert.match(await readFile(path, 'utf8'), /1:1\b/)
  await offsets.flushed(1000)
  assert.match(await readFile(path, 'utf8'), /1:2\b/)
  await offsets.close(2000, 1500)
  assert.match(await readFile(path, 'utf8'), /1:2\b/)
  await offsets.close(2000, 2000)
  assert.match(await readFile(path, 'utf8'), /1:3\b/)
})

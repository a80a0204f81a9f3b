import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { folder } from '../../../test/push-fixture.ts'
import { FileOwner } from './file-owner.ts'

const withoutProc = process.platform === 'linux' ? false : 'the start of a process is known on Linux only'

async function setUp(t: TestContext) {
  const path = join(await folder(t), 'offsets.json')
  const noticed: string[] = []
  const open = () => new FileOwner(path, who => noticed.push(who))
  return { path, ownerPath: `${path}.owner`, noticed, open }
}

/** When the parent of this process started, as `/proc` has it. */
async function startOfParent(): Promise<string> {
  const stat = await readFile(`/proc/${process.ppid}/stat`, 'utf8')
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? ''
}

test('a running owner is noticed and keeps its file', { skip: withoutProc }, async t => {
  const { open, noticed, ownerPath } = await setUp(t)
  const text = `${process.ppid} ${await startOfParent()}`
  await writeFile(ownerPath, text)
  const owner = open()
  await owner.claim()
  assert.deepEqual(noticed, [`the process ${process.ppid}`])
  await owner.release()
  assert.equal(await readFile(ownerPath, 'utf8'), text)
})

test('an owner whose process id another process has now is gone', { skip: withoutProc }, async t => {
  const { open, noticed, ownerPath } = await setUp(t)
  await writeFile(ownerPath, `${process.ppid} 1`)
  await open().claim()
  assert.deepEqual(noticed, [])
  assert.match(await readFile(ownerPath, 'utf8'), new RegExp(`^${process.pid} `))
})

test('an owner whose start is not known counts while its process runs', async t => {
  const { open, noticed, ownerPath } = await setUp(t)
  await writeFile(ownerPath, String(process.ppid))
  await open().claim()
  assert.deepEqual(noticed, [`the process ${process.ppid}`])
})

test('the owner file of another process that took over meanwhile is not removed', async t => {
  const { open, ownerPath } = await setUp(t)
  const owner = open()
  await owner.claim()
  await writeFile(ownerPath, '7 8')
  await owner.release()
  assert.equal(await readFile(ownerPath, 'utf8'), '7 8')
})

test('a file that another process replaced is noticed before the next write, and an owner that is gone is forgotten', async t => {
  const { open, noticed, path, ownerPath } = await setUp(t)
  await writeFile(ownerPath, '999999999')
  const owner = open()
  await owner.claim()
  assert.match(await readFile(ownerPath, 'utf8'), new RegExp(`^${process.pid}( |$)`))
  await owner.beforeWrite()
  await writeFile(path, 'mine')
  await owner.afterWrite()
  await owner.beforeWrite()
  assert.deepEqual(noticed, [])
  await writeFile(path, 'from another')
  await owner.beforeWrite()
  assert.deepEqual(noticed, ['another process'])
  await owner.release()
  await assert.rejects(readFile(ownerPath), { code: 'ENOENT' })
})

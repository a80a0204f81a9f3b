import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { claimFile } from './file-claim.ts'

const program = `
const { claimFile } = await import(${JSON.stringify(import.meta.resolve('./file-claim.ts'))})
await claimFile(process.argv[1])
console.log('claimed')
setInterval(() => {}, 1000)
`

test('a file that another process has claimed is free as soon as that process is killed', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'claim-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'lock')
  const child = spawn(process.execPath, ['--input-type=module', '-e', program, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  await assert.rejects(claimFile(path), { code: 'EBUSY' })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const claim = await claimFile(path)
  claim[Symbol.dispose]()
  assert.deepEqual(await readdir(folder), ['lock'], 'nothing is left beside it')
})

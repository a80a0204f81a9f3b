import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Logger } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { CredentialsFile } from './credentials-file.ts'

/** A file of accounts, opened, and the lines that are logged about it. */
async function opened(t: TestContext, text: string) {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-credentials-'))
  t.after(() => rm(folder, { recursive: true }))
  const path = join(folder, 'accounts.properties')
  await writeFile(path, text, { mode: 0o600 })
  const lines: string[] = []
  const note = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`)
  const log: Logger = { debug: note, info: note, warn: note, error: note }
  return { path, lines, log, file: await CredentialsFile.open(path, log) }
}

test('a changed file is used after the next look at it', async t => {
  const clock = new ManualClock()
  const { path, file } = await opened(t, 'a=secret1')
  file.watch(clock)
  assert.deepEqual([file.secretKeyOf('a'), file.secretKeyOf('b')], ['secret1', undefined])
  await writeFile(path, 'b=secret2')
  clock.advance(1000)
  await file.reload()
  assert.deepEqual([file.secretKeyOf('a'), file.secretKeyOf('b')], [undefined, 'secret2'])
  file.close()
  file.close()
  assert.equal(clock.timers, 0)
})

test('a changed file that cannot be used leaves the accounts as they were, and is logged once', async t => {
  const { path, lines, file } = await opened(t, 'a=secret1')
  await writeFile(path, 'a=')
  assert.deepEqual([await file.reload(), await file.reload()], [false, false])
  await rm(path)
  assert.equal(await file.reload(), false)
  assert.equal(file.secretKeyOf('a'), 'secret1')
  assert.equal(lines.filter(line => line.includes('cannot be used')).length, 2)
  await writeFile(path, 'a=secret3')
  assert.equal(await file.reload(), true)
  assert.equal(file.secretKeyOf('a'), 'secret3')
})

test('no secret is logged', async t => {
  const { path, lines, file } = await opened(t, 'a=secret1')
  await writeFile(path, 'b=secret2\nc=secret3 ')
  await file.reload()
  await writeFile(path, 'b=secret2')
  await file.reload()
  assert.equal(lines.length, 3)
  assert.doesNotMatch(lines.join('\n'), /secret\d/)
})

test('a file that is missing, too large or invalid is an error that names it', async t => {
  const { path, log } = await opened(t, 'a=secret1')
  const naming = (reason: RegExp) => new RegExp(`credentialsFile ${path}: .*${reason.source}`)
  await assert.rejects(CredentialsFile.open(`${path}.missing`, log), /credentialsFile .*missing: .*ENOENT/)
  await writeFile(path, `a=${'x'.repeat(1 << 20)}`)
  await assert.rejects(CredentialsFile.open(path, log), naming(/the limit is/))
  await writeFile(path, 'a')
  await assert.rejects(CredentialsFile.open(path, log), naming(/line 1/))
})

test('a file that every user of the machine may read is warned of', { skip: process.platform === 'win32' }, async t => {
  const { path, lines, log } = await opened(t, 'a=secret1')
  assert.equal(lines.filter(line => line.includes('chmod 600')).length, 0)
  await chmod(path, 0o644)
  await CredentialsFile.open(path, log)
  assert.match(lines.at(-1) ?? '', /chmod 600 .*"mode":"644"/)
})

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { AwakeClock, silent } from '@gantrymq/remoting'
import { ManualClock, selfSigned } from '@gantrymq/remoting/testing'
import { MemoryDisk, type OpenFile } from '@gantrymq/store'
import { type LoadedParts, loadParts } from './loaded-parts.ts'
import { type BrokerOptions, brokerOptions } from './options.ts'

const ROOT = '/store'

/** A disk whose file `topics.json` cannot be read, and which reads `subscriptionGroup.json` only when it is told to. */
class FailingDisk extends MemoryDisk {
  readonly slow = Promise.withResolvers<void>()
  /** Files that are open. */
  readonly reading = new Set<string>()

  constructor() {
    super()
    this.makeFolder(`${ROOT}/config`)
    for (const name of ['topics.json', 'subscriptionGroup.json']) this.create(`${ROOT}/config/${name}`, 2).close()
  }

  override open(path: string): OpenFile {
    const file = super.open(path)
    if (path.endsWith('topics.json')) file.read = () => Promise.reject(new Error('EIO'))
    if (!path.endsWith('subscriptionGroup.json')) return file
    const read = file.read.bind(file)
    const close = file.close.bind(file)
    this.reading.add(path)
    file.read = (into, from, to, at) => this.slow.promise.then(() => read(into, from, to, at))
    file.close = () => {
      this.reading.delete(path)
      close()
    }
    return file
  }
}

function certificate(t: TestContext): Partial<BrokerOptions> {
  const folder = mkdtempSync(join(tmpdir(), 'loaded-parts-'))
  t.after(() => rmSync(folder, { recursive: true }))
  const { key, cert } = selfSigned()
  const [tlsServerKeyPath, tlsServerCertPath] = [join(folder, 'key'), join(folder, 'pem')]
  writeFileSync(tlsServerKeyPath, key)
  writeFileSync(tlsServerCertPath, cert)
  return { tlsTestModeEnable: false, tlsServerKeyPath, tlsServerCertPath }
}

test('if one table cannot be opened, the broker waits for the others, and leaves nothing open', async t => {
  const disk = new FailingDisk()
  const clock = new ManualClock()
  using awake = new AwakeClock(clock)
  const timers = clock.timers
  const options = brokerOptions.resolve({ storePathRootDir: ROOT, ...certificate(t) })
  const loading = { log: silent, clock: awake, unknownKeys: undefined, disk, onTopics: () => {}, onOptions: () => {} }
  let settled = false
  const loaded: Promise<LoadedParts> = loadParts(options, loading).finally(() => (settled = true))
  loaded.catch(() => {})
  for (let turns = 0; turns < 50; turns++) await turn()
  assert.equal(settled, false, 'a table is being read in a folder that another broker may claim')
  await assert.rejects(disk.lock(`${ROOT}/lock`), { code: 'EBUSY' })
  disk.slow.resolve()
  await assert.rejects(loaded, /topics.*cannot be read/)
  assert.equal(disk.reading.size, 0)
  assert.equal(clock.timers, timers, 'something still looks at the time')
  using _claim = await disk.lock(`${ROOT}/lock`)
})

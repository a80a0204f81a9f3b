import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { type ServerOptions, serverOptions } from '../../test/server-options.ts'
import type { GivenOptions } from './option-set.ts'
import { ServerSettings, type SettingsParts } from './settings.ts'
import { storeInFile } from './settings-file.ts'

const settingsOf = (given: GivenOptions<ServerOptions> = {}, parts?: SettingsParts<ServerOptions>) =>
  new ServerSettings(serverOptions, serverOptions.resolve(given), parts)

const update = (settings: ServerSettings<ServerOptions>, properties: Record<string, string>) =>
  settings.update(new Map(Object.entries(properties)))

test('the text lists every key that is set, sorted, including unknown ones', () => {
  const settings = settingsOf({ listenPort: 19871 }, { unknown: new Map([['myUnknown', 'x=y:z\n']]) })
  const lines = settings.text().split('\n')
  assert.equal(lines.at(-1), '')
  assert.deepEqual(lines, [...lines.slice(0, -1).toSorted(), ''])
  assert.ok(lines.includes('listenPort=19871'))
  assert.ok(lines.includes('bindAddress=0.0.0.0'))
  assert.ok(lines.includes('configBlackList=configBlackList;configStorePath'))
  assert.ok(lines.includes('myUnknown=x\\=y\\:z\\n'))
  assert.ok(!lines.some(line => line.startsWith('rocketmqHome')))
})

test('a password is never shown', () => {
  assert.match(settingsOf({ tlsServerKeyPassword: 'secret' }).text(), /^tls.server.keyPassword=\*{6}$/m)
})

test('a change takes effect at once and leaves older option objects unchanged', async () => {
  const settings = settingsOf()
  const before = settings.options
  await update(settings, { orderMessageEnable: 'true', waitSecondsForService: ' 10 ' })
  assert.equal(before.orderMessageEnable, false)
  assert.equal(settings.options.orderMessageEnable, true)
  assert.equal(settings.options.waitSecondsForService, 10)
  assert.match(settings.text(), /^orderMessageEnable=true$/m)
  assert.ok(Object.isFrozen(settings.options))
})

test('a change that is too long is refused, and of many unknown keys only the first get a line in the log', async () => {
  const lines: unknown[] = []
  const log = { debug() {}, info() {}, error() {}, warn: (fields: object) => void lines.push(fields) }
  const settings = settingsOf({}, { log })
  await assert.rejects(settings.updateFrom('k=v\n'.repeat(100_000)), { responseCode: 1, message: /at most|may have/ })
  await settings.updateFrom(Array.from({ length: 10_000 }, (_, i) => `k${i}=v`).join('\n'))
  assert.equal(lines.length, 21)
  assert.deepEqual(lines.at(-1), { keys: 9_980 })
})

const BLACK_LISTED = ['rocketmqHome', 'configStorePath', 'configBlackList', 'enableTopicList', 'zzz']

for (const key of BLACK_LISTED) {
  test(`${key} on the black list is refused with Apache's remark, and nothing of the request is applied`, async () => {
    const settings = settingsOf({ configBlackList: 'enableTopicList; zzz' })
    await assert.rejects(update(settings, { orderMessageEnable: 'true', [key]: 'x' }), {
      responseCode: 16,
      remark: 'Can not update config in black list.',
    })
    assert.equal(settings.options.orderMessageEnable, false)
  })
}

const REFUSED = ['listenPort', 'bindAddress', 'httpPort', 'tls.server.mode', 'com.rocketmq.remoting.frameMaxLength']

for (const key of REFUSED) {
  test(`${key} is refused by name`, async () => {
    await assert.rejects(update(settingsOf(), { orderMessageEnable: 'true', [key]: '1' }), {
      responseCode: 16,
      remark: `${key} cannot be updated at run time: set it in the file and restart`,
    })
  })
}

test('the refusal of an option has its reason, if there is one', async () => {
  await assert.rejects(update(settingsOf(), { maxConnections: '1' }), {
    responseCode: 16,
    remark: 'maxConnections cannot be updated at run time, as it could stop answers: set it in the file and restart',
  })
})

test('a bad value is refused by name, and nothing of the request is applied', async () => {
  const settings = settingsOf()
  await assert.rejects(update(settings, { orderMessageEnable: 'true', waitSecondsForService: 'soon' }), {
    responseCode: 1,
    remark: 'waitSecondsForService=soon: it must be a whole number of seconds, 0 or more',
  })
  assert.equal(settings.options.orderMessageEnable, false)
})

test('unknown keys are ignored and nothing is stored for them', async () => {
  const stored: unknown[] = []
  const settings = settingsOf({}, { store: async updates => void stored.push(updates) })
  const before = settings.text()
  await update(settings, { nope: '1', __proto__x: '2' })
  assert.equal(settings.text(), before)
  assert.deepEqual(stored, [])
})

test('a change that cannot be stored is refused with the reason and not applied', async () => {
  const store = () => Promise.reject(new Error('disk full'))
  const settings = settingsOf({}, { store })
  await assert.rejects(update(settings, { orderMessageEnable: 'true' }), {
    responseCode: 1,
    remark: 'the config could not be written, nothing was changed: disk full',
  })
  assert.equal(settings.options.orderMessageEnable, false)
})

test('concurrent changes are stored one after the other', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'settings-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'conf', 'namesrv.properties')
  const settings = settingsOf({}, { store: storeInFile(path) })
  await Promise.all([
    update(settings, { orderMessageEnable: 'true' }),
    update(settings, { waitSecondsForService: '7' }),
    update(settings, { orderMessageEnable: 'false' }),
  ])
  assert.equal(await readFile(path, 'utf8'), 'orderMessageEnable=false\nwaitSecondsForService=7\n')
  assert.equal(await readFile(`${path}.bak`, 'utf8'), 'orderMessageEnable=true\nwaitSecondsForService=7\n')
})

test('storing keeps what an operator wrote into the file in the meantime', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'settings-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'namesrv.properties')
  await writeFile(path, '# edited by hand\nlistenPort=9877\norderMessageEnable=false')
  await storeInFile(path)(new Map([['orderMessageEnable', 'true']]))
  assert.equal(await readFile(path, 'utf8'), '# edited by hand\nlistenPort=9877\norderMessageEnable=true\n')
})

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { aBroker, bodyJson, registration } from './brokers.ts'
import { type ServerUnderTest, serverFor } from './server-under-test.ts'
import { unique } from '../unique.ts'

const NOT_FOUND = 22
const NO_PERMISSION = 16

interface Key {
  readonly namespace: string
  readonly key: string
}
const put = ({ namespace, key }: Key, value: string) => ({ code: 100, extFields: { namespace, key, value } })
const get = ({ namespace, key }: Key) => ({ code: 101, extFields: { namespace, key } })
const remove = ({ namespace, key }: Key) => ({ code: 102, extFields: { namespace, key } })
const list = (namespace: string) => ({ code: 219, extFields: { namespace } })

/** The KV table: put, get, delete and list, and what answers to brokers contain of it. */
export function keyValues(server: ServerUnderTest): void {
  test('a value is put, read, changed and deleted', async () => {
    const key = { namespace: unique('space'), key: 'key' }
    const answer = await server.ask(put(key, 'one'))
    assert.deepEqual([answer.code, answer.extFields, answer.body], [0, null, null])
    assert.deepEqual((await server.ask(get(key))).extFields, { value: 'one' })
    await server.ask(put(key, 'two'))
    assert.deepEqual((await server.ask(get(key))).extFields, { value: 'two' })
    assert.equal((await server.ask(remove(key))).code, 0)
    assert.equal((await server.ask(get(key))).code, NOT_FOUND)
  })

  test('a missing value is code 22, and the remark names namespace and key', async () => {
    const key = { namespace: unique('space'), key: 'key' }
    const answer = await server.ask(get(key))
    assert.deepEqual(
      [answer.code, answer.remark],
      [NOT_FOUND, `No config item, Namespace: ${key.namespace} Key: ${key.key}`],
    )
  })

  test('a namespace is unknown before the first put and listed as empty after its last key was deleted', async () => {
    const namespace = unique('space')
    const unknown = await server.ask(list(namespace))
    assert.deepEqual([unknown.code, unknown.remark], [NOT_FOUND, `No config item, Namespace: ${namespace}`])
    await server.ask(put({ namespace, key: 'k' }, 'v'))
    assert.equal((await server.ask(list(namespace))).body?.toString(), '{"table":{"k":"v"}}')
    await server.ask(remove({ namespace, key: 'k' }))
    assert.equal((await server.ask(list(namespace))).body?.toString(), '{"table":{}}')
  })

  test('deleting a missing key is code 0', async () => {
    assert.equal((await server.ask(remove({ namespace: unique('space'), key: 'k' }))).code, 0)
  })

  test('keys and values may have any characters', async () => {
    const namespace = unique('spåce')
    const values = { __proto__x: '1', 'a.b:c=d': 'x=y;z', 键: '"quoted" \\ back\nslash', big: 'x'.repeat(50_000) }
    for (const [key, value] of Object.entries(values)) {
      assert.equal((await server.ask(put({ namespace, key }, value))).code, 0)
      assert.equal((await server.ask(get({ namespace, key }))).extFields?.['value'], value)
    }
    assert.deepEqual(bodyJson(await server.ask(list(namespace))), { table: values })
  })

  test('a put without namespace or key is code 1', async () => {
    for (const extFields of [
      { key: 'k', value: 'v' },
      { namespace: 'n', value: 'v' },
    ]) {
      const answer = await server.ask({ code: 100, extFields })
      assert.equal(answer.code, 1)
      if (server.line === 'ours') assert.match(answer.remark ?? '', /namespace|key/)
      else assert.equal(answer.remark, 'namespace or key is null')
    }
  })

  test('a put without a value stores nothing and is code 0', async () => {
    const namespace = unique('space')
    assert.equal((await server.ask({ code: 100, extFields: { namespace, key: 'k' } })).code, 0)
    assert.equal((await server.ask(get({ namespace, key: 'k' }))).code, NOT_FOUND)
  })

  describe('on a server of their own', () => kept(server))
}

function kept(server: ServerUnderTest): void {
  const fresh = serverFor(server.kind)
  const order = { namespace: 'ORDER_TOPIC_CONFIG', key: 'ordered' }

  test('the answer to a registration has no table, then the order topics, then an empty table', async t => {
    const broker = aBroker()
    const connection = await fresh.connect(t)
    const answered = async () => (await connection.call(registration(broker))).body?.toString()
    assert.equal(await answered(), undefined)
    await fresh.ask(put(order, 'broker-a:4'))
    assert.equal(await answered(), '{"table":{"ordered":"broker-a:4"}}')
    await fresh.ask(remove(order))
    assert.equal(await answered(), '{"table":{}}')
  })

  test("the answer to a first registration equals Java's byte for byte", async t => {
    const connection = await fresh.connect(t)
    const answer = await connection.call(registration(aBroker(), { opaque: 4711 }))
    const header = answer.bytes.toString('utf8', 8, 8 + answer.bytes.readUInt32BE(4))
    assert.equal(
      header,
      `{"code":0,"extFields":{},"flag":1,"language":"JAVA","opaque":4711,"serializeTypeCurrentRPC":"JSON","version":${answer.version}}`,
    )
  })

  test('the KV table survives a restart', { timeout: 60_000 }, async () => {
    await fresh.ask(put({ namespace: 'kept', key: 'schlüssel' }, 'wert'))
    await fresh.running.kill()
    await fresh.running.restart()
    assert.equal((await fresh.ask(get({ namespace: 'kept', key: 'schlüssel' }))).extFields?.['value'], 'wert')
    assert.equal((await fresh.ask(list('ORDER_TOPIC_CONFIG'))).body?.toString(), '{"table":{}}')
  })
}

/** GET_NAMESRV_CONFIG and UPDATE_NAMESRV_CONFIG. */
export function configuration(server: ServerUnderTest): void {
  // A server of its own: the changes must not affect other cases.
  const own = serverFor(server.kind)
  const update = async (text: string) => {
    const { code, remark } = await own.ask({ code: 318, body: text })
    return { code, remark }
  }
  const current = async () => {
    const text = (await own.ask({ code: 319 })).body?.toString() ?? ''
    return new Map(
      text
        .split('\n')
        .filter(Boolean)
        .map(line => [line.split('=')[0] ?? '', line.slice(line.indexOf('=') + 1)]),
    )
  }

  test('the configuration consists of lines key=value, sorted in 5.x and ours', async () => {
    const config = await current()
    assert.equal(config.get('listenPort'), String(own.running.port))
    assert.equal(config.get('orderMessageEnable'), 'false')
    const keys = [...config.keys()]
    if (own.line !== '4.9') assert.deepEqual(keys, keys.toSorted())
  })

  test('a change of a known key takes effect at once', async () => {
    assert.deepEqual(await update('orderMessageEnable=true\nserverChannelMaxIdleTimeSeconds=90\n'), {
      code: 0,
      remark: null,
    })
    const config = await current()
    assert.equal(config.get('orderMessageEnable'), 'true')
    assert.equal(config.get('serverChannelMaxIdleTimeSeconds'), '90')
  })

  test('an unknown key is ignored', async () => {
    assert.equal((await update('noSuchKey=1')).code, 0)
    assert.equal((await current()).get('noSuchKey'), undefined)
  })

  test('a value of the wrong type changes nothing', async () => {
    const before = (await current()).get('serverChannelMaxIdleTimeSeconds')
    const { code } = await update('serverChannelMaxIdleTimeSeconds=soon')
    // Apache answers 0 to everything; ours may refuse and say why.
    if (own.line !== 'ours') assert.equal(code, 0)
    assert.equal((await current()).get('serverChannelMaxIdleTimeSeconds'), before)
  })

  test('keys with paths of files are refused, and nothing of the request takes effect', async () => {
    for (const key of ['kvConfigPath', 'configStorePath', '\\u006bvConfigPath']) {
      const { code, remark } = await update(`productEnvName=changed\n${key}=/tmp/elsewhere`)
      assert.equal(code, NO_PERMISSION)
      if (own.line !== 'ours') assert.match(remark ?? '', /^Can not update config (path|in black list\.)$/)
      assert.notEqual((await current()).get('productEnvName'), 'changed')
    }
  })

  test('5.x and ours refuse rocketmqHome and configBlackList', async () => {
    for (const key of ['rocketmqHome', 'configBlackList']) {
      assert.equal((await update(`${key}=x`)).code, own.by({ '4.9': 0, '5.x': NO_PERMISSION }))
    }
  })

  test('a request without a body is code 0', async () => {
    assert.equal((await own.ask({ code: 318 })).code, 0)
  })

  test('a body that is not in properties format is code 1', async () => {
    const { code, remark } = await update('productEnvName=\\u00zz')
    assert.equal(code, 1)
    if (own.line !== 'ours') assert.equal(remark, 'string2Properties error')
  })
}

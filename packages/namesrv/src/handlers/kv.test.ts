import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameServerRequests } from '@gantrymq/protocol'
import { type Command, finish, Router, settled } from '@gantrymq/remoting'
import { fakePeer } from '@gantrymq/remoting/testing'
import { KvStore } from '../kv/kv-store.ts'
import { kvHandlers } from './kv.ts'

const { PUT_KV_CONFIG, GET_KV_CONFIG, DELETE_KV_CONFIG, GET_KVLIST_BY_NAMESPACE } = nameServerRequests
const requests = { PUT_KV_CONFIG, GET_KV_CONFIG, DELETE_KV_CONFIG, GET_KVLIST_BY_NAMESPACE }

function request(code: number, fields: Readonly<Record<string, string>>): Command {
  const extFields = new Map(Object.entries(fields))
  const rest = { language: 'JAVA', version: 513, opaque: 1, flag: 0, remark: null, body: null } as const
  return { ...rest, code, extFields, serializeType: 'JSON' }
}

/** Sends requests to a new store, and returns each reply as code, remark, fields and body text. */
async function fresh(maxSize = 1000) {
  const kv = await KvStore.open({ path: null, limits: { maxSize, maxEntries: 100 } })
  const router = new Router(requests, kvHandlers, { kv, turns: { run: (_lane, work) => finish(work) } })
  return async (code: number, fields: Readonly<Record<string, string>> = {}) => {
    const reply = await settled(router.dispatch(request(code, fields), fakePeer()))
    const extFields = reply.extFields ? Object.fromEntries(reply.extFields) : null
    return [
      reply.code,
      reply.remark ?? null,
      extFields,
      reply.body ? Buffer.concat([reply.body].flat()).toString() : null,
    ]
  }
}

// Codes, remarks and bodies as captured from Apache 5.5.0.
test('an entry is put, read, listed and deleted, and then not found', async () => {
  const ask = await fresh()
  assert.deepEqual(await ask(100, { namespace: 'n', key: 'k', value: 'v' }), [0, null, null, null])
  assert.deepEqual(await ask(101, { namespace: 'n', key: 'k' }), [0, null, { value: 'v' }, null])
  assert.deepEqual(await ask(219, { namespace: 'n' }), [0, null, null, '{"table":{"k":"v"}}'])
  assert.deepEqual(await ask(102, { namespace: 'n', key: 'k' }), [0, null, null, null])
  assert.deepEqual(await ask(101, { namespace: 'n', key: 'k' }), [22, 'No config item, Namespace: n Key: k', {}, null])
  assert.deepEqual(await ask(219, { namespace: 'n' }), [0, null, null, '{"table":{}}'])
})

test('an unknown namespace is not found', async () => {
  const ask = await fresh()
  assert.deepEqual(await ask(219, { namespace: 'n' }), [22, 'No config item, Namespace: n', null, null])
})

test('missing fields are answered with the remarks of Apache', async () => {
  const ask = await fresh()
  assert.deepEqual(await ask(100, { namespace: 'n' }), [1, 'namespace or key is null', null, null])
  assert.deepEqual(await ask(100, { key: 'k' }), [1, 'namespace or key is null', null, null])
  assert.deepEqual(await ask(101, { namespace: 'n' }), [22, 'No config item, Namespace: n Key: null', {}, null])
  assert.deepEqual(await ask(102), [0, null, null, null])
  assert.deepEqual(await ask(219), [22, 'No config item, Namespace: null', null, null])
})

test('a put without a value creates the namespace and removes the value', async () => {
  const ask = await fresh()
  await ask(100, { namespace: 'n', key: 'k', value: 'v' })
  assert.deepEqual(await ask(100, { namespace: 'n', key: 'k' }), [0, null, null, null])
  assert.deepEqual(await ask(101, { namespace: 'n', key: 'k' }), [22, 'No config item, Namespace: n Key: k', {}, null])
  assert.deepEqual(await ask(100, { namespace: 'm', key: 'k' }), [0, null, null, null])
  assert.deepEqual(await ask(219, { namespace: 'm' }), [0, null, null, '{"table":{}}'])
})

test('names that are special in JavaScript are ordinary names', async () => {
  const ask = await fresh()
  await ask(100, { namespace: '__proto__', key: 'constructor', value: 'v' })
  assert.deepEqual(await ask(101, { namespace: '__proto__', key: 'constructor' }), [0, null, { value: 'v' }, null])
  assert.equal((await ask(101, { namespace: 'constructor', key: 'name' }))[0], 22)
})

test('a put beyond the limit is refused, and the remark names the limit', async () => {
  const ask = await fresh(10)
  const [code, remark] = await ask(100, { namespace: 'n', key: 'k', value: '0123456789' })
  assert.equal(code, 1)
  assert.equal(remark, 'the KV config has 0 bytes, needs 12 more, and may have at most 10 (maxKvConfigSize)')
})

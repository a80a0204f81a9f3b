import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakePeer } from '@gantrymq/testkit'
import { bool, defaulted, header, type HandlersFor, int, optional, request, Router, text } from './index.ts'

const table = {
  ROUTE: request({
    code: 105,
    purpose: 'x',
    header: header({ topic: text(), std: optional(bool()), n: defaulted(int(), 3) }),
  }),
  WIPE: request({
    code: 205,
    purpose: 'x',
    header: header({ brokerName: text() }),
    reply: { header: header({ wipeTopicCount: int() }) },
  }),
} as const
const handlers = {
  ROUTE({ header }) {
    const n: number = header.n
    const s: boolean | undefined = header.std
    return { body: Buffer.from(header.topic + n + s) }
  },
  WIPE() {
    return { header: { wipeTopicCount: 3 } }
  },
} satisfies HandlersFor<typeof table, object>
test('typed', async () => {
  const router = new Router(table, handlers, {})
  const base = {
    language: 'JAVA',
    version: 0,
    opaque: 1,
    flag: 0,
    remark: null,
    body: null,
    serializeType: 'JSON',
  } as const
  const peer = fakePeer()
  const reply = await router.dispatch({ ...base, code: 205, extFields: new Map([['brokerName', 'a']]) }, peer)
  assert.equal(reply.extFields?.get('wipeTopicCount'), '3')
  const missing = await router.dispatch({ ...base, code: 105, extFields: null }, peer)
  assert.equal(missing.remark, 'ROUTE: the header field topic (string) is missing')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakePeer } from './testing/fake-peer.ts'
import type { Command, ReplyParts } from './command.ts'
import { ResponseError } from './errors.ts'
import { bool, defaulted, header, int, optional, text } from './fields.ts'
import { Held, held, settled } from './held.ts'
import { type HandlersFor, request } from './request.ts'
import { type RequestHook, Router } from './router.ts'

const table = {
  ROUTE: request({
    code: 105,
    purpose: 'for tests',
    header: header({ topic: text(), std: optional(bool()), n: defaulted(int(), 3) }),
  }),
  WIPE: request({
    code: 205,
    purpose: 'for tests',
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
  WIPE: () => ({ header: { wipeTopicCount: 3 } }),
} satisfies HandlersFor<typeof table, object>

const peer = fakePeer()
const plain: Command = {
  code: 205,
  language: 'JAVA',
  version: 0,
  opaque: 1,
  flag: 0,
  remark: null,
  extFields: new Map([['brokerName', 'a']]),
  body: null,
  serializeType: 'JSON',
}

test('the declaration decodes the header for the handler and encodes its answer', async () => {
  const router = new Router(table, handlers, {})
  const wiped = await settled(router.dispatch(plain, peer))
  assert.equal(wiped.extFields?.get('wipeTopicCount'), '3')
  const route = await settled(router.dispatch({ ...plain, code: 105, extFields: new Map([['topic', 'T']]) }, peer))
  assert.equal(Buffer.from((route.body ?? []) as Uint8Array).toString(), 'T3undefined')
})

test('the body of an answer may be bytes, parts of bytes, or a value that the declaration encodes', async () => {
  const LIST = request({
    code: 1,
    purpose: 'for tests',
    reply: { body: { name: 'list', encode: (list: string[]) => Buffer.from(list.join()), decode: () => [] } },
  })
  const parts = [Buffer.from('a'), Buffer.from('b')]
  for (const [given, written] of [
    [Buffer.from('a'), Buffer.from('a')],
    [parts, parts],
    [['a', 'b'], Buffer.from('a,b')],
    [[], Buffer.alloc(0)],
  ] as const) {
    const router = new Router({ LIST }, { LIST: () => ({ body: given as never }) }, {})
    assert.deepEqual((await settled(router.dispatch({ ...plain, code: 1 }, peer))).body, written)
  }
})

test('the answer names a missing header field', async () => {
  const router = new Router(table, handlers, {})
  const missing = await settled(router.dispatch({ ...plain, code: 105, extFields: null }, peer))
  assert.equal(missing.remark, 'ROUTE: the header field topic (string) is missing')
})

// -- Hooks -------------------------------------------------------------------------------------------------------------

/** Hooks that record their calls. The one named `refusing` refuses every request. */
function noting(...names: string[]) {
  const seen: string[] = []
  const hooks = names.map(name => {
    const hook: RequestHook = {
      before() {
        seen.push(`${name} before`)
        if (name === 'refusing') throw new ResponseError(16, 'not you')
      },
      after(_, reply) {
        seen.push(`${name} after ${reply.code}`)
      },
    }
    return hook
  })
  return { seen, hooks }
}

type Wipe = HandlersFor<typeof table, object>['WIPE']

function dispatch(hooks: readonly RequestHook[], WIPE: Wipe, command = plain): Promise<ReplyParts> {
  return settled(new Router(table, { ...handlers, WIPE }, {}, { hooks }).dispatch(command, peer))
}

const outcomes: Readonly<Record<string, { readonly code: number; readonly handler: Wipe }>> = {
  'an answer at once': { code: 0, handler: handlers.WIPE },
  'an answer that takes a while': { code: 0, handler: () => Promise.resolve({ header: { wipeTopicCount: 3 } }) },
  'a refusal': {
    code: 17,
    handler() {
      throw new ResponseError(17, 'no such broker')
    },
  },
  'a refusal that takes a while': { code: 17, handler: () => Promise.reject(new ResponseError(17, 'no such broker')) },
  'a failure': {
    code: 1,
    handler() {
      throw new Error('broken')
    },
  },
  'a failure that takes a while': { code: 1, handler: () => Promise.reject(new Error('broken')) },
  'an answer that is held': { code: 0, handler: () => held(Promise.resolve({ header: { wipeTopicCount: 3 } })) },
  'a refusal that is held': { code: 17, handler: () => held(Promise.reject(new ResponseError(17, 'no such broker'))) },
  'an answer that is held after some work': {
    code: 0,
    handler: () => Promise.resolve(held(Promise.resolve({ header: { wipeTopicCount: 3 } }))),
  },
  'an answer that cannot be written': {
    code: 1,
    handler: () => ({
      header: {
        get wipeTopicCount(): number {
          throw new Error('broken')
        },
      },
    }),
  },
}

for (const [what, { code, handler }] of Object.entries(outcomes)) {
  test(`each hook sees ${what} once`, async () => {
    const { seen, hooks } = noting('first', 'second')
    const reply = await dispatch(hooks, handler)
    assert.equal(reply.code, code)
    assert.deepEqual(seen, ['first before', 'second before', `first after ${code}`, `second after ${code}`])
  })
}

test('the hooks see the reply to a request whose header cannot be read', async () => {
  const { seen, hooks } = noting('only')
  await dispatch(hooks, handlers.WIPE, { ...plain, extFields: null })
  assert.deepEqual(seen, ['only before', 'only after 1'])
})

test('the hooks before a refusing hook see its refusal, but not the hook itself and later ones', async () => {
  const { seen, hooks } = noting('first', 'refusing', 'third')
  let handled = false
  const reply = await dispatch(hooks, () => {
    handled = true
    return { header: { wipeTopicCount: 3 } }
  })
  assert.deepEqual([reply.code, reply.remark, handled], [16, 'not you', false])
  assert.deepEqual(seen, ['first before', 'refusing before', 'first after 16'])
})

test('hooks do not see a request that has no handler', async () => {
  const { seen, hooks } = noting('only')
  const reply = await dispatch(hooks, handlers.WIPE, { ...plain, code: 999 })
  assert.deepEqual([reply.code, seen], [3, []])
})

test('an error that a hook throws after the handler becomes the reply, and later hooks see it', async () => {
  const { seen, hooks } = noting('last')
  const failing: RequestHook = {
    after() {
      throw new ResponseError(2, 'too much')
    },
  }
  const reply = await dispatch([failing, ...hooks], handlers.WIPE)
  assert.deepEqual([reply.code, reply.remark], [2, 'too much'])
  assert.deepEqual(seen, ['last before', 'last after 2'])
})

test('hooks see the reply to a held request together with the request without its body', async () => {
  const bodies: (Buffer | null)[] = []
  const hook: RequestHook = {
    before: command => void bodies.push(command.body),
    after: command => void bodies.push(command.body),
  }
  const body = Buffer.from('bytes')
  const router = new Router(table, { ...handlers, WIPE: () => held(Promise.resolve({})) }, {}, { hooks: [hook] })
  const reply = router.dispatch({ ...plain, body }, peer)
  assert.ok(reply instanceof Held)
  await settled(reply)
  assert.deepEqual(bodies, [body, null])
})

test('a remark shows control and direction characters of the caller as escapes', async () => {
  const refuse = (topic: string): never => {
    throw topic.startsWith('x') ? new Error(topic) : new ResponseError(17, `no topic ${topic}\nSee the FAQ`)
  }
  const router = new Router(table, { ...handlers, ROUTE: ({ header }) => refuse(header.topic) }, {})
  const remark = async (topic: string) =>
    (await settled(router.dispatch({ ...plain, code: 105, extFields: new Map([['topic', topic]]) }, peer))).remark
  assert.equal(await remark('a\u001b[2J\u202e'), 'no topic a\\u001b[2J\\u202e\nSee the FAQ')
  assert.equal(await remark('x\u0007'), 'ROUTE: x\\u0007')
})

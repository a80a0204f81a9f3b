import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { KvConfig, type KvChange, KvDraft } from './kv-config.ts'

const word = fc.constantFrom('a', 'b', '__proto__', 'constructor', '', '\ud800', 'é\n"\\')
const change: fc.Arbitrary<KvChange> = fc.oneof(
  fc.record({ kind: fc.constant('put' as const), namespace: word, key: word, value: fc.string() }),
  fc.record({ kind: fc.constant('delete' as const), namespace: word, key: word }),
)

test('changes give what a plain map of maps gives, in any grouping', () => {
  fc.assert(
    fc.property(fc.array(fc.array(change)), groups => {
      const model = new Map<string, Map<string, string>>()
      let config = new KvConfig()
      for (const group of groups) {
        for (const one of group) {
          if (one.kind === 'put') {
            if (!model.has(one.namespace)) model.set(one.namespace, new Map())
            model.get(one.namespace)?.set(one.key, one.value)
          } else model.get(one.namespace)?.delete(one.key)
        }
        config = config.with(group)
      }
      assert.deepEqual(new Map(config.namespaces()), model)
    }),
  )
})

test('a namespace stays when its last key is deleted', () => {
  const config = new KvConfig().with([
    { kind: 'put', namespace: 'n', key: 'k', value: 'v' },
    { kind: 'delete', namespace: 'n', key: 'k' },
  ])
  assert.deepEqual(config.namespace('n'), new Map())
  assert.equal(config.namespace('other'), undefined)
})

test('a change that changes nothing gives the same object, and untouched namespaces are shared', () => {
  const config = new KvConfig().with([
    { kind: 'put', namespace: 'n', key: 'k', value: 'v' },
    { kind: 'put', namespace: 'm', key: 'k', value: 'v' },
  ])
  assert.equal(config.with([{ kind: 'put', namespace: 'n', key: 'k', value: 'v' }]), config)
  assert.equal(config.with([{ kind: 'delete', namespace: 'x', key: 'k' }]), config)
  const next = config.with([{ kind: 'put', namespace: 'n', key: 'k', value: 'w' }])
  assert.equal(next.namespace('m'), config.namespace('m'))
  assert.equal(config.get('n', 'k'), 'v')
})

const LIMITS = { maxSize: 40, maxEntries: 6 }

/** Counts as a reader of the file would. */
function countedAgain(config: KvConfig) {
  const { size, entries } = new KvConfig(new Map(config.namespaces()))
  return { size, entries }
}

test('whatever changes come, bytes and entries are exact, and a change is refused exactly if it exceeds a limit', () => {
  fc.assert(
    fc.property(fc.array(fc.array(change, { maxLength: 10 })), groups => {
      let config = new KvConfig()
      for (const group of groups) {
        const draft = new KvDraft(config, LIMITS)
        for (const one of group) {
          const before = new KvConfig(new Map(draft.finish().namespaces()))
          // Without the empty namespaces that may be dropped for the change.
          const kept = Array.from(before.namespaces()).filter(([name, { size }]) => size > 0 || name === one.namespace)
          const least = new KvConfig(new Map(kept)).with([one])
          const fits = least.size <= LIMITS.maxSize && least.entries + least.namespaceCount <= LIMITS.maxEntries
          const refusal = draft.apply(one)
          assert.equal(refusal === undefined, fits, refusal)
        }
        config = draft.finish()
        assert.deepEqual({ size: config.size, entries: config.entries }, countedAgain(config))
        assert.ok(config.size <= LIMITS.maxSize)
        assert.ok(config.entries + config.namespaceCount <= LIMITS.maxEntries)
      }
    }),
  )
})

test('an entry of exactly the limit fits, one byte more does not, and deleting it returns the space', () => {
  const draft = new KvDraft(new KvConfig(), { maxSize: 10, maxEntries: 100 })
  const put = (key: string, value: string) => draft.apply({ kind: 'put', namespace: 'ns', key, value })
  assert.match(put('k', '12345678') ?? '', /has 0 bytes, needs 11 more, and may have at most 10 \(maxKvConfigSize\)/)
  assert.equal(put('k', 'éé345'), undefined)
  assert.equal(draft.finish().size, 10)
  assert.match(put('l', '') ?? '', /has 10 bytes, needs 1 more/)
  draft.apply({ kind: 'delete', namespace: 'ns', key: 'k' })
  assert.equal(draft.finish().size, 2)
  assert.equal(put('l', '1234567'), undefined)
})

test('namespaces without entries are dropped when their space is needed, except that of ordered topics', () => {
  const draft = new KvDraft(new KvConfig(), { maxSize: 100, maxEntries: 4 })
  const put = (namespace: string) => draft.apply({ kind: 'put', namespace, key: 'k', value: 'v' })
  for (const namespace of ['ORDER_TOPIC_CONFIG', 'a', 'b']) {
    assert.equal(put(namespace), undefined)
    draft.apply({ kind: 'delete', namespace, key: 'k' })
  }
  const names = () => Array.from(draft.finish().namespaces(), ([name]) => name)
  assert.deepEqual(names(), ['ORDER_TOPIC_CONFIG', 'a', 'b'])
  assert.equal(put('c'), undefined)
  assert.deepEqual(names(), ['ORDER_TOPIC_CONFIG', 'c'])
  assert.match(put('d') ?? '', /has 3 namespaces and keys, and may have at most 4 \(maxKvConfigEntries\)/)
})

test('entries and bytes are counted', () => {
  const config = new KvConfig().with([
    { kind: 'put', namespace: 'n', key: 'k', value: 'vv' },
    { kind: 'put', namespace: 'n', key: 'l', value: '' },
  ])
  assert.equal(config.entries, 2)
  assert.equal(config.size, 5)
})

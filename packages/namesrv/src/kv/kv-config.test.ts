import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { KvConfig, type KvChange } from './kv-config.ts'

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

test('entries and characters are counted', () => {
  const config = new KvConfig().with([
    { kind: 'put', namespace: 'n', key: 'k', value: 'vv' },
    { kind: 'put', namespace: 'n', key: 'l', value: '' },
  ])
  assert.equal(config.entries, 2)
  assert.equal(config.size, 5)
})

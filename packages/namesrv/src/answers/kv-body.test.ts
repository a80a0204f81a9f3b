import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kvTableBody } from '@gantrymq/protocol'
import { finish } from '@gantrymq/remoting'
import { kvBodyOf } from './kv-body.ts'

const textOf = (entries: ReadonlyMap<string, string>) => Buffer.concat(finish(kvBodyOf(entries))).toString()

test('a namespace is written as the codec of its table writes it', () => {
  const many = new Map(Array.from({ length: 2000 }, (_, i) => [`topic-${i}`, `broker-a:${i}`]))
  const odd = new Map([
    ['a"b', '\u0001é\u2028/'],
    ['', ''],
  ])
  for (const entries of [many, odd, new Map<string, string>()]) {
    assert.equal(textOf(entries), Buffer.from(kvTableBody.encode(entries)).toString())
  }
})

test('entries are written once', () => {
  const entries = new Map([['k', 'v']])
  assert.equal(finish(kvBodyOf(entries)), finish(kvBodyOf(entries)))
})

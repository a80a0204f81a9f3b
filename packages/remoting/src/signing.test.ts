import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakePeer } from './testing/fake-peer.ts'
import fc from 'fast-check'
import type { Command } from './command.ts'
import { ResponseError } from './errors.ts'
import { isSigned, signatureCheck, signatureOf, signing } from './signing.ts'

const credentials = { accessKey: 'RocketMQ', secretKey: '12345678' }

function signed(given: Record<string, string>, body: Buffer | null = null): Pick<Command, 'extFields' | 'body'> {
  const extFields = new Map(Object.entries(given))
  signing(credentials)(extFields, body)
  return { extFields, body }
}

test('a request is signed as the Java client signs it', () => {
  assert.deepEqual(
    [...(signed({ topic: 'TopicTest' }).extFields ?? [])],
    [
      ['topic', 'TopicTest'],
      ['AccessKey', 'RocketMQ'],
      ['Signature', '0jiwhsaYp5ObE5GObbZH1I8/FT4='],
    ],
  )
  const body = Buffer.from('{"clientID":"c"}')
  assert.equal(signed({}, body).extFields?.get('Signature'), 'fZbXBt3b3Z99UlS1RSrWBReZV4U=')
})

test('the security token is one of the signed fields', () => {
  const fields = new Map<string, string>()
  signing({ ...credentials, securityToken: 'token' })(fields, null)
  assert.equal(fields.get('SecurityToken'), 'token')
  assert.equal(isSigned({ extFields: fields, body: null }, '12345678'), true)
  fields.set('SecurityToken', 'other')
  assert.equal(isSigned({ extFields: fields, body: null }, '12345678'), false)
})

test('signing again, as for a second attempt, gives the same signature', () => {
  const { extFields } = signed({ topic: 'a' })
  const again = new Map(extFields)
  signing(credentials)(again, null)
  assert.deepEqual(again, extFields)
})

test('a change of any field, of the body or of the key breaks the signature', () => {
  const text = fc.string({ maxLength: 10 })
  fc.assert(
    fc.property(fc.dictionary(text, text, { maxKeys: 6 }), fc.uint8Array({ maxLength: 20 }), (given, bytes) => {
      const request = signed(given, Buffer.from(bytes))
      assert.equal(isSigned(request, '12345678'), true)
      assert.equal(isSigned(request, '12345679'), false)
      assert.equal(isSigned({ ...request, body: Buffer.from([...bytes, 1]) }, '12345678'), false)
      const more = new Map(request.extFields).set('zz', 'x')
      assert.equal(isSigned({ ...request, extFields: more }, '12345678'), false)
    }),
  )
})

test('a signature is valid with and without the unique-key field', () => {
  const fields = new Map([
    ['_UNIQUE_KEY_QUERY', 'true'],
    ['AccessKey', 'RocketMQ'],
    ['key', 'k'],
  ])
  for (const without of [undefined, '_UNIQUE_KEY_QUERY']) {
    const extFields = new Map(fields).set('Signature', signatureOf(fields, null, '12345678', without))
    assert.equal(isSigned({ extFields, body: null }, '12345678'), true)
  }
})

test('names are sorted by code unit, as in Java', () => {
  // Sorted by code point, U+FFFF would come before U+10000.
  const values = new Map([
    ['\uffff', 'b'],
    ['\u{10000}', 'a'],
  ])
  assert.equal(signatureOf(values, null, 'k'), signatureOf(new Map([['x', 'ab']]), null, 'k'))
})

test('the check refuses with the remarks of Apache and lets signed requests pass', () => {
  const hook = signatureCheck(key => (key === 'RocketMQ' ? '12345678' : undefined))
  const check = (command: Partial<Command>): unknown => {
    try {
      hook.before?.(command as Command, fakePeer())
      return 'passed'
    } catch (error) {
      assert.ok(error instanceof ResponseError)
      return [error.responseCode, error.remark]
    }
  }
  assert.equal(check(signed({ topic: 'a' })), 'passed')
  assert.deepEqual(check({ extFields: null, body: null }), [16, 'username cannot be null.'])
  assert.deepEqual(check({ extFields: new Map([['AccessKey', 'x']]), body: null }), [16, 'User:x is not found.'])
  assert.deepEqual(check({ extFields: new Map([['AccessKey', 'RocketMQ']]), body: null }), [
    16,
    'check signature failed.',
  ])
  const forged = new Map([
    ['AccessKey', 'RocketMQ'],
    ['Signature', 'é'],
  ])
  assert.deepEqual(check({ extFields: forged, body: null }), [16, 'check signature failed.'])
})

test('the field that 4.9 leaves out is not signed for 4.9, but for 5.x and for peers of unknown version', () => {
  const sign = signing({ accessKey: 'RocketMQ', secretKey: '12345678' })
  const signedFor = (peerVersion?: number): string => {
    const fields = new Map([
      ['topic', 'a'],
      ['_UNIQUE_KEY_QUERY', 'true'],
    ])
    sign(fields, null, peerVersion)
    const signature = fields.get('Signature') ?? ''
    return signature === signatureOf(fields, null, '12345678', '_UNIQUE_KEY_QUERY') ? 'without' : 'with'
  }
  assert.deepEqual(
    [signedFor(407), signedFor(413), signedFor(513), signedFor(0), signedFor()],
    ['without', 'with', 'with', 'with', 'with'],
  )
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { HeaderCodec, RequestDeclaration } from '@gantrymq/remoting'
import fc from 'fast-check'
import { responseCodes, responseName } from '../response-codes.ts'
import { adminRequests } from './admin.ts'
import { brokerNotices } from './broker-notices.ts'
import { clientNotices } from './client-notices.ts'
import { consumeRequests } from './consume.ts'
import { membershipRequests } from './membership.ts'
import { nameServerRequests } from './name-server.ts'
import { offsetRequests } from './offsets.ts'
import { popRequests } from './pop.ts'
import { queryRequests } from './query.ts'
import { requestNames } from './request-names.ts'
import { sendRequests } from './send.ts'

const declared: Record<string, RequestDeclaration> = {
  ...nameServerRequests,
  ...brokerNotices,
  ...sendRequests,
  ...consumeRequests,
  ...popRequests,
  ...queryRequests,
  ...membershipRequests,
  ...clientNotices,
  ...adminRequests,
}

test('every request has the code and name of Apache', () => {
  for (const [name, { code }] of Object.entries(declared)) assert.equal(requestNames.get(code), name)
})

test('no request is declared twice', () => {
  const tables = [
    nameServerRequests,
    brokerNotices,
    sendRequests,
    consumeRequests,
    popRequests,
    queryRequests,
    membershipRequests,
    clientNotices,
    adminRequests,
  ]
  const names = tables.flatMap(table => Object.keys(table))
  assert.deepEqual(names.toSorted(), Object.keys(declared).toSorted())
})

test('all request codes of both lines of name servers are declared', () => {
  const codes = Object.values(nameServerRequests).map(({ code }) => code)
  assert.deepEqual(
    codes.toSorted((a, b) => a - b),
    [100, 101, 102, 103, 104, 105, 106, 205, 206, 216, 217, 219, 224, 304, 311, 312, 313, 318, 319, 322, 327, 901, 904],
  )
})

const codePoint = fc.nat(0x10ffff).map(code => String.fromCodePoint(code).toWellFormed())

/** Values of a field, by the type that its documentation shows. */
function valueOf(field: HeaderCodec['fields'][string]): fc.Arbitrary<unknown> {
  switch (field.type) {
    case 'int':
      return fc.integer()
    case 'long':
      return fc.maxSafeInteger()
    case 'boolean':
      return fc.boolean()
    default:
      return fc.string({ unit: codePoint })
  }
}

function headersOf(header: HeaderCodec): fc.Arbitrary<Record<string, unknown>> {
  const entries = Object.entries(header.fields)
  const given = Object.fromEntries(entries.map(([name, field]) => [name, valueOf(field)]))
  const required = entries.filter(([, field]) => field.presence !== 'optional').map(([name]) => name)
  return fc.record(given, { requiredKeys: required, noNullPrototype: true })
}

test('every encoded header is decoded unchanged', () => {
  for (const { header, reply } of Object.values(declared)) {
    for (const codec of [header, reply?.header] as (HeaderCodec | undefined)[]) {
      if (codec === undefined) continue
      fc.assert(
        fc.property(headersOf(codec), value => {
          const fields = codec.encode(value)
          assert.deepEqual(codec.decode(fields), value)
          // The JSON text that connections write directly must equal the text they would write from the map.
          const written = JSON.parse(`{${codec.json(value)}}`) as Record<string, string>
          assert.deepEqual(new Map(Object.entries(written)), fields)
        }),
        { numRuns: 30 },
      )
    }
  }
})

test('the error for a registration names the missing field; optional fields have defaults', () => {
  const { header } = nameServerRequests.REGISTER_BROKER
  const given = new Map([
    ['brokerName', 'broker-a'],
    ['brokerAddr', '10.0.0.1:10911'],
    ['clusterName', 'DefaultCluster'],
    ['brokerId', '9223372036854775807'],
  ])
  for (const field of given.keys()) {
    const without = new Map(given)
    without.delete(field)
    assert.throws(() => header.decode(without), { code: 'BAD_HEADER', field })
  }
  assert.deepEqual(header.decode(given), {
    brokerName: 'broker-a',
    brokerAddr: '10.0.0.1:10911',
    clusterName: 'DefaultCluster',
    brokerId: 9223372036854775807n,
    compressed: false,
    bodyCrc32: 0,
  })
})

test('the reply codes of requests are those that Java treats as answers', () => {
  const answers = Object.entries(declared).flatMap(([name, { reply }]) =>
    reply?.codes === undefined ? [] : [[name, reply.codes.map(responseName)] as const],
  )
  const stored = ['FLUSH_DISK_TIMEOUT', 'SLAVE_NOT_AVAILABLE', 'FLUSH_SLAVE_TIMEOUT']
  const nothing = ['PULL_NOT_FOUND', 'PULL_RETRY_IMMEDIATELY', 'PULL_OFFSET_MOVED']
  const unpopped = ['PULL_NOT_FOUND', 'POLLING_FULL or UPDATE_AND_CREATE_ACL_CONFIG_FAILED']
  for (const [name, codes] of answers) {
    if (name.startsWith('SEND_')) assert.deepEqual(codes, stored)
    else if (name.includes('PULL')) assert.deepEqual(codes, nothing)
    else assert.deepEqual(codes.slice(0, 2), unpopped)
  }
  assert.equal(answers.length, 9)
})

test('a reset whose queue or offset is unreadable is an error, and does not reset more queues, or to another offset', () => {
  const { header } = offsetRequests.INVOKE_BROKER_TO_RESET_OFFSET
  const given = { group: 'g', topic: 'Orders', timestamp: '0' }
  const decode = (more: Record<string, string>) => header.decode(new Map(Object.entries({ ...given, ...more })))
  assert.deepEqual(decode({}), { group: 'g', topic: 'Orders', queueId: -1, timestamp: 0, isForce: false })
  for (const value of ['', 'x', '1.5', '9223372036854775807']) {
    assert.throws(() => decode({ queueId: value }), { code: 'BAD_HEADER', field: 'queueId' })
    assert.throws(() => decode({ offset: value }), { code: 'BAD_HEADER', field: 'offset' })
  }
})

test('a pull has the fields of both lines, without the optional ones', () => {
  const { header } = consumeRequests.PULL_MESSAGE
  const given = {
    consumerGroup: 'billing',
    topic: 'Orders',
    queueId: 3,
    queueOffset: 9007199254740991,
    maxMsgNums: 32,
    sysFlag: 6,
    commitOffset: 0,
    suspendTimeoutMillis: 15000,
    subVersion: 1700000000000,
  }
  const fields = header.encode(given)
  assert.deepEqual([...fields.keys()], Object.keys(given))
  assert.equal(fields.get('queueOffset'), '9007199254740991')
  fields.set('queueOffset', '9007199254740992')
  assert.throws(() => header.decode(fields), { code: 'BAD_HEADER', field: 'queueOffset' })
})

test('a response code with a different meaning in each line has both names', () => {
  assert.equal(responseName(17), 'TOPIC_NOT_EXIST')
  assert.equal(responseName(209), 'POLLING_FULL or UPDATE_AND_CREATE_ACL_CONFIG_FAILED')
  assert.equal(responseName(31337), '31337')
  assert.equal(responseCodes.GO_AWAY, 1500)
})

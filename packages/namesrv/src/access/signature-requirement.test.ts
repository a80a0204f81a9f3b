import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameServerRequests } from '@gantrymq/protocol'
import { addressRanges, type Command, ResponseError, silent, signing } from '@gantrymq/remoting'
import { fakePeer, ManualClock } from '@gantrymq/remoting/testing'
import { RefusalLog } from './refusal-log.ts'
import { SignatureRequirement } from './signature-requirement.ts'

const secrets = new Map([['operator', 'secret-1']])

function requirement(requests: 'changes' | 'all' = 'changes') {
  const reasons: string[] = []
  const hook = new SignatureRequirement({
    requests,
    secretKeyOf: accessKey => secrets.get(accessKey),
    unsignedBrokers: addressRanges('10.1.0.0/16'),
    log: new RefusalLog(silent, new ManualClock()),
    onRefused: reason => void reasons.push(reason),
  })
  return { hook, reasons }
}

function command(code: number, extFields: Map<string, string> | null = null): Command {
  return {
    code,
    extFields,
    body: null,
    language: 'JAVA',
    version: 513,
    opaque: 1,
    flag: 0,
    remark: null,
    serializeType: 'JSON',
  }
}

function signed(code: number, credentials = { accessKey: 'operator', secretKey: 'secret-1' }): Command {
  const fields = new Map([['brokerName', 'a']])
  signing(credentials)(fields, null)
  return command(code, fields)
}

/** The remark of the refusal; undefined if the request passes. */
function refusalOf(hook: SignatureRequirement, request: Command, remoteAddress = '10.0.0.1:5000') {
  try {
    hook.before(request, fakePeer({ remoteAddress }))
    return undefined
  } catch (error) {
    assert.ok(error instanceof ResponseError)
    assert.equal(error.responseCode, 16)
    return error.remark ?? ''
  }
}

/** The codes of the requests that pass. */
function passing(hook: SignatureRequirement, given: (code: number) => Command, remoteAddress?: string): number[] {
  const codes = Object.values(nameServerRequests).map(({ code }) => code)
  return codes.filter(code => refusalOf(hook, given(code), remoteAddress) === undefined)
}

const READING = [101, 105, 106, 206, 219, 224, 304, 311, 312, 313, 319, 901]
const BY_BROKERS = [103, 104, 217, 322, 904]

test('unsigned requests may read, and change nothing', () => {
  assert.deepEqual(passing(requirement().hook, command), READING)
})

test('with all, unsigned requests may not even read', () => {
  assert.deepEqual(passing(requirement('all').hook, command), [])
})

test('signed requests may do everything', () => {
  for (const requests of ['changes', 'all'] as const) {
    assert.equal(passing(requirement(requests).hook, signed).length, Object.keys(nameServerRequests).length)
  }
})

test('brokers at the given addresses need no signature for what brokers send, but for everything else', () => {
  for (const address of ['10.1.2.3:40000', '::ffff:10.1.2.3:40000']) {
    assert.deepEqual(
      passing(requirement().hook, command, address),
      [...READING, ...BY_BROKERS].toSorted((a, b) => a - b),
      address,
    )
  }
  assert.deepEqual(passing(requirement('all').hook, command, '10.1.2.3:40000'), BY_BROKERS)
})

test('each refusal says what is wrong and what to do, and is counted', () => {
  const { hook, reasons } = requirement()
  assert.match(
    refusalOf(hook, command(103)) ?? '',
    /^REGISTER_BROKER must be signed.*innerClient.*unsignedBrokerRanges/,
  )
  assert.match(refusalOf(hook, command(216)) ?? '', /^DELETE_TOPIC_IN_NAMESRV must be signed.*tools\.yml/)
  const unknown = signed(216, { accessKey: 'stranger\n', secretKey: 'secret-1' })
  assert.match(refusalOf(hook, unknown) ?? '', /the access key "stranger\\u000a" is not in the credentialsFile/)
  const wrong = signed(216, { accessKey: 'operator', secretKey: 'secret-2' })
  assert.match(refusalOf(hook, wrong) ?? '', /the signature with access key "operator" is wrong/)
  assert.deepEqual(reasons, ['no_access_key', 'no_access_key', 'unknown_access_key', 'wrong_signature'])
})

test('a long access key is shown in part', () => {
  const remark =
    refusalOf(requirement().hook, signed(216, { accessKey: 'x'.repeat(5000), secretKey: 'secret-1' })) ?? ''
  assert.ok(remark.length < 300, remark)
})

test('a request that no name server serves is left to the router', () => {
  assert.equal(refusalOf(requirement('all').hook, command(999)), undefined)
})

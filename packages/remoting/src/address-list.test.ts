import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ManualClock } from './testing/manual-clock.ts'
import { addressesOf, AddressList, type AddressListOptions } from './address-list.ts'

const REFRESH_MS = 120_000

/** Opens a list and records the changes and failures that it reports. The test fails if a timer is left after the close. */
function open(t: TestContext, given: Partial<AddressListOptions>) {
  const clock = new ManualClock()
  const changes: (readonly string[])[] = []
  const failures: string[] = []
  const list = new AddressList({
    source: undefined,
    clock,
    what: 'the servers',
    refreshMs: REFRESH_MS,
    resolve: null,
    onChange: addresses => changes.push(addresses),
    onFailure: ({ message }) => failures.push(message),
    ...given,
  })
  t.after(() => {
    list.close()
    assert.equal(clock.timers, 0)
  })
  const refreshed = async () => {
    clock.advance(REFRESH_MS)
    await turn()
  }
  return { list, clock, changes, failures, refreshed }
}

test('addresses are text separated by semicolons, or an array; the form that cloud consoles show is accepted too', () => {
  assert.deepEqual(addressesOf(' a:1; b:2 ;;c:3'), ['a:1', 'b:2', 'c:3'])
  assert.deepEqual(addressesOf(['a:1', ' b:2']), ['a:1', 'b:2'])
  assert.deepEqual(addressesOf('http://MQ_INST_1_2.mq.example.com:8080'), ['MQ_INST_1_2.mq.example.com:8080'])
})

test('a scheme in any case and a stroke at the end are removed', () => {
  for (const item of ['http://10.0.0.1:9876/', 'HTTP://10.0.0.1:9876', 'tcp://10.0.0.1:9876', 'https://10.0.0.1:9876'])
    assert.deepEqual(addressesOf(item), ['10.0.0.1:9876'], item)
  assert.deepEqual(addressesOf('[2001:db8::1]:9876'), ['[2001:db8::1]:9876'])
})

const wrong: readonly (readonly [list: string, advice: RegExp])[] = [
  ['10.0.0.1', /"10\.0\.0\.1" is not an address: write host:port; name servers listen on 9876/],
  ['10.0.0.1:0', /port from 1 to 65535/],
  ['10.0.0.1:99999', /port from 1 to 65535/],
  [':9876', /write host:port/],
  ['2001:db8::1:9876', /\[2001:db8::1\]:9876/],
  ['10.0.0.1:9876 10.0.0.2:9876', /separate addresses by ;/],
  ['10.0.0.1:9876；10.0.0.2:9876', /wide forms/],
  ['10.0.0.1:9876，10.0.0.2:9876', /wide forms/],
  ['redis://10.0.0.1:6379', /without a scheme/],
  ['http://ns.example.org:8080/rocketmq/nsaddr', /address server.*\{ url: \.\.\. \}/],
  ['user@10.0.0.1:9876', /write host:port/],
  ['"10.0.0.1":9876', /write host:port/],
]

for (const [source, message] of wrong) {
  test(`${source} is no list of addresses, and the error says what to write`, () => {
    assert.throws(() => addressesOf(source), { code: 'BAD_OPTION', message })
    assert.throws(() => new AddressList({ source, clock: new ManualClock(), what: 'x', refreshMs: 1 }), { message })
  })
}

test('addresses keep the order of the list, and no address appears twice', async t => {
  const { list } = open(t, { source: 'b:1;a:1;b:1' })
  assert.deepEqual(list.addresses, [])
  await list.start()
  assert.deepEqual(list.addresses, ['b:1', 'a:1'])
})

test('the list is refreshed every refreshMs, and only different members count as a change', async t => {
  let source = ['a:1', 'b:1']
  const { list, changes, refreshed } = open(t, { source: async () => source })
  await list.start()
  source = ['b:1', 'a:1']
  await refreshed()
  assert.deepEqual(list.addresses, ['a:1', 'b:1'])
  source = ['b:1', 'c:1']
  await refreshed()
  source = []
  await refreshed()
  assert.deepEqual(list.addresses, ['b:1', 'c:1'])
  assert.deepEqual(changes, [
    ['a:1', 'b:1'],
    ['b:1', 'c:1'],
  ])
})

test('a failing source leaves the known addresses in place, and its problem stays until a refresh succeeds', async t => {
  let problem: unknown
  const source = (): string => {
    if (problem !== undefined) throw problem
    return 'a:1'
  }
  const { list, failures, refreshed } = open(t, { source })
  await list.start()
  problem = new Error('registry is down')
  await refreshed()
  problem = 'a text'
  await refreshed()
  assert.deepEqual(list.addresses, ['a:1'])
  assert.deepEqual(failures, ['registry is down', 'a text'])
  assert.equal(list.problem?.message, 'a text')
  problem = undefined
  await refreshed()
  assert.equal(list.problem, undefined)
})

test('an address server is queried by its URL', async t => {
  const asked: string[] = []
  const fetchText = async (url: string) => (asked.push(url), 'a:1;b:1')
  const { list } = open(t, { source: { url: 'http://ns.example.org/nsaddr' }, fetchText })
  await list.start()
  assert.deepEqual(asked, ['http://ns.example.org/nsaddr'])
  assert.deepEqual(list.addresses, ['a:1', 'b:1'])
})

test('a host name is replaced by all its addresses, and a name that does not resolve stays as it is', async t => {
  const resolve = async (host: string): Promise<string[]> => {
    if (host === 'unknown') throw new Error('ENOTFOUND')
    return ['10.0.0.1', 'fe80::1']
  }
  const { list } = open(t, { source: 'ns:9876;unknown:9876;10.0.0.9:9876;[::1]:9876', resolve })
  await list.start()
  assert.deepEqual(list.addresses, ['10.0.0.1:9876', '[fe80::1]:9876', 'unknown:9876', '10.0.0.9:9876', '[::1]:9876'])
})

test('a name that stops resolving for a while keeps its last addresses', async t => {
  let fails = false
  const resolve = async (): Promise<string[]> => {
    if (fails) throw new Error('EAI_AGAIN')
    return ['10.0.0.1']
  }
  const { list, refreshed } = open(t, { source: 'ns:9876', resolve })
  await list.start()
  fails = true
  await refreshed()
  assert.deepEqual(list.addresses, ['10.0.0.1:9876'])
})

test('a source function that never settles ends with a timeout, and the next refresh calls it again', async t => {
  let calls = 0
  const source = () => (calls++ === 0 ? new Promise<string>(() => {}) : 'a:1')
  const { list, clock, failures } = open(t, { source })
  const started = list.start()
  assert.equal(list.refresh(), list.refresh())
  clock.advance(6000)
  await started
  assert.deepEqual(failures, ['finding the servers took longer than 6000 ms'])
  await list.refresh()
  assert.deepEqual(list.addresses, ['a:1'])
  assert.equal(list.lastRefreshAt, clock.elapsed())
})

test('a list that is closed during a refresh leaves no timer, reports nothing, and keeps its addresses', async t => {
  const found = Promise.withResolvers<string>()
  const { list, clock, changes, failures } = open(t, { source: () => found.promise })
  const started = list.start()
  list.close()
  await started
  found.resolve('a:1')
  await turn()
  assert.deepEqual([list.isClosed, clock.timers, changes, failures, list.problem], [true, 0, [], [], undefined])
})

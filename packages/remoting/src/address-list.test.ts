import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ManualClock } from './testing/manual-clock.ts'
import { addressesOf, AddressList, type AddressListOptions } from './address-list.ts'

const REFRESH_MS = 120_000

/** A list, and what it told of changes and failures. The test fails if a timer is left after its close. */
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

test('a list is text with semicolons, or a list; the form that cloud consoles show is taken too', () => {
  assert.deepEqual(addressesOf(' a:1; b:2 ;;c:3'), ['a:1', 'b:2', 'c:3'])
  assert.deepEqual(addressesOf(['a:1', ' b:2']), ['a:1', 'b:2'])
  assert.deepEqual(addressesOf('http://MQ_INST_1_2.mq.example.com:8080'), ['MQ_INST_1_2.mq.example.com:8080'])
})

test('addresses keep the order of the list, and none comes twice', async t => {
  const { list } = open(t, { source: 'b:1;a:1;b:1' })
  assert.deepEqual(list.addresses, [])
  await list.start()
  assert.deepEqual(list.addresses, ['b:1', 'a:1'])
})

test('the list is found again every refreshMs, and only other members are a change', async t => {
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

test('a source that fails leaves the addresses that are known, and the problem until it is found again', async t => {
  let problem: unknown
  const source = (): string => {
    if (problem !== undefined) throw problem
    return 'a:1'
  }
  const { list, failures, refreshed } = open(t, { source })
  await list.start()
  problem = new Error('registry is away')
  await refreshed()
  problem = 'a text'
  await refreshed()
  assert.deepEqual(list.addresses, ['a:1'])
  assert.deepEqual(failures, ['registry is away', 'a text'])
  assert.equal(list.problem?.message, 'a text')
  problem = undefined
  await refreshed()
  assert.equal(list.problem, undefined)
})

test('an address server is asked by its URL', async t => {
  const asked: string[] = []
  const fetchText = async (url: string) => (asked.push(url), 'a:1;b:1')
  const { list } = open(t, { source: { url: 'http://ns.example.org/nsaddr' }, fetchText })
  await list.start()
  assert.deepEqual(asked, ['http://ns.example.org/nsaddr'])
  assert.deepEqual(list.addresses, ['a:1', 'b:1'])
})

test('a host name stands for all its addresses, and one that is not known for itself', async t => {
  const resolve = async (host: string): Promise<string[]> => {
    if (host === 'unknown') throw new Error('ENOTFOUND')
    return ['10.0.0.1', 'fe80::1']
  }
  const { list } = open(t, { source: 'ns:9876;unknown:9876;10.0.0.9:9876;[::1]:9876', resolve })
  await list.start()
  assert.deepEqual(list.addresses, ['10.0.0.1:9876', '[fe80::1]:9876', 'unknown:9876', '10.0.0.9:9876', '[::1]:9876'])
})

test('a name that is not known for a while stands for what it did', async t => {
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

test('a function that never comes back ends with a timeout, and is called again by the next refresh', async t => {
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
  assert.equal(list.soughtAt, clock.elapsed())
})

test('a list that is closed while it is found leaves no timer, tells nothing, and keeps what it had', async t => {
  const found = Promise.withResolvers<string>()
  const { list, clock, changes, failures } = open(t, { source: () => found.promise })
  const started = list.start()
  list.close()
  await started
  found.resolve('a:1')
  await turn()
  assert.deepEqual([list.isClosed, clock.timers, changes, failures, list.problem], [true, 0, [], [], undefined])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Logger } from '@gantrymq/remoting'
import { type TestCluster, testCluster } from '@gantrymq/testkit/cluster'
import { type ClientOptions, type InstanceOptions, instanceOptions } from './instance-options.ts'
import { readOptions } from '../options.ts'
import { acquireInstance } from './shared-instances.ts'

function settingsOf(cluster: TestCluster, given: ClientOptions = {}) {
  const { clock, dial, nameServerList: nameServers } = cluster
  return readOptions('test', instanceOptions, { clock, dial, nameServers, ...given })
}

test('clients with the same options share an instance, and the last release closes it', async t => {
  const cluster = await testCluster(t)
  const [a, b] = [acquireInstance(settingsOf(cluster)), acquireInstance(settingsOf(cluster))]
  const other = acquireInstance(settingsOf(cluster, { unitName: 'u' }))
  assert.equal(a.instance, b.instance)
  assert.notEqual(a.instance, other.instance)
  assert.match(other.instance.clientId, /@\d+#\d+@u$/)
  await a.release()
  const c = acquireInstance(settingsOf(cluster))
  assert.equal(c.instance, b.instance)
  await Promise.all([b.release(), c.release(), other.release()])
  const fresh = acquireInstance(settingsOf(cluster))
  assert.notEqual(fresh.instance, a.instance)
  await fresh.release()
})

test('releasing one share twice does not close the instance for the others', async t => {
  const cluster = await testCluster(t)
  const [a, b] = [acquireInstance(settingsOf(cluster)), acquireInstance(settingsOf(cluster))]
  await Promise.all([a.release(), a.release()])
  const c = acquireInstance(settingsOf(cluster))
  assert.equal(c.instance, b.instance)
  await Promise.all([b.release(), c.release()])
})

test('options that only a producer or a consumer has do not prevent sharing', async t => {
  const cluster = await testCluster(t)
  const a = acquireInstance({ ...settingsOf(cluster), timeoutMs: 1 } as InstanceOptions)
  const b = acquireInstance({ ...settingsOf(cluster), concurrency: 2 } as InstanceOptions)
  assert.equal(a.instance, b.instance)
  await Promise.all([a.release(), b.release()])
})

test('two consumers of one group in a process have different client ids', async t => {
  const cluster = await testCluster(t)
  const [a, b] = [acquireInstance(settingsOf(cluster), 'g'), acquireInstance(settingsOf(cluster), 'g')]
  assert.notEqual(a.instance.clientId, b.instance.clientId)
  await a.release()
  await b.release()
})

test('with a given instance name a second consumer of a group is refused until the first has gone', async t => {
  const cluster = await testCluster(t)
  const settings = settingsOf(cluster, { instanceName: 'name', clientIp: '10.9.8.7' })
  const a = acquireInstance(settings, 'g')
  assert.equal(a.instance.clientId, '10.9.8.7@name')
  assert.throws(() => acquireInstance(settings, 'g'), {
    code: 'GROUP_TAKEN',
    message:
      'The consumer group[g] has been created before, by a consumer in this process with instanceName "name": ' +
      'give this consumer another group or another instanceName',
  })
  await a.release()
  const b = acquireInstance(settings, 'g')
  await b.release()
})

test('clients with one instance name share with equal credentials, and get different ids with different ones', async t => {
  const cluster = await testCluster(t)
  const name = { instanceName: 'name', clientIp: '10.9.8.7', unitName: 'u' }
  const named = (credentials: { accessKey: string; secretKey: string }, more: ClientOptions = {}) =>
    acquireInstance(settingsOf(cluster, { ...name, credentials, ...more }))
  const a = named({ accessKey: 'a', secretKey: 's' })
  const b = named({ accessKey: 'a', secretKey: 's' })
  const other = named({ accessKey: 'a', secretKey: 't' })
  assert.equal(a.instance, b.instance)
  const adding = named({ accessKey: 'a', secretKey: 's' }, { onRequest: () => {} })
  assert.deepEqual(
    [a, other, adding].map(({ instance }) => instance.clientId),
    ['10.9.8.7@name@u', '10.9.8.7@name#2@u', '10.9.8.7@name#3@u'],
  )
  await Promise.all([a, b, other, adding].map(({ release }) => release()))
})

test('clients with loggers that only look alike do not share', async t => {
  const cluster = await testCluster(t)
  const methods = { debug() {}, info() {}, warn() {}, error() {} }
  const logging = (lines: string[]) => acquireInstance(settingsOf(cluster, { log: { ...methods, lines } as Logger }))
  const [a, b] = [logging([]), logging([])]
  assert.notEqual(a.instance, b.instance)
  await Promise.all([a.release(), b.release()])
})

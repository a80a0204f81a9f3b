import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MetricFamily } from '@gantrymq/daemon'
import { finish } from '@gantrymq/remoting'
import { ManualClock } from '@gantrymq/remoting/testing'
import { broker, STARTED_AT, statusOf } from '../../test/status-fixture.ts'
import type { BrokerView } from '../registry/broker-changes.ts'
import { NameServerMetrics } from './name-server-metrics.ts'
import type { NameServerStatus } from '../status.ts'

const limits = { clusters: 2, brokers: 3, namespaces: 10 }

function metricsOf(status?: NameServerStatus) {
  const metrics = new NameServerMetrics({
    requests: [],
    responses: [],
    clock: new ManualClock(STARTED_AT + 10_000),
    limits,
  })
  if (status) metrics.watch(status, finish)
  return metrics
}

/** The series of a family: labels joined, and the value. */
async function seriesOf(metrics: NameServerMetrics, name: string): Promise<Record<string, number>> {
  const family = (await metrics.families()).find(each => each.name === name)
  assert.ok(family && family.type !== 'histogram', `no ${name}`)
  return Object.fromEntries(family.samples.map(({ labels, value }) => [Object.values(labels).join(' '), value]))
}

test('brokers are counted by cluster and role', async () => {
  const metrics = metricsOf(statusOf({ brokers: [broker('a'), broker('a', 1), broker('a', 2), broker('b')] }))
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_brokers'), {
    'DefaultCluster master': 2,
    'DefaultCluster slave': 2,
  })
})

test('the last update of a broker is shown as an age in seconds', async () => {
  const metrics = metricsOf(statusOf({ brokers: [broker('a', 0, { lastUpdate: STARTED_AT + 8500 })] }))
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_broker_last_update_age_seconds'), {
    'DefaultCluster a 0': 1.5,
  })
})

test('topics count once in each of their clusters, and those without a master are counted separately', async () => {
  const brokers = [broker('a'), broker('b', 1), broker('c', 0, { cluster: 'Other' })]
  const topics = { everywhere: ['a', 'b', 'c'], both: ['a', 'b'], 'only slaves': ['b'], gone: ['z'] }
  const metrics = metricsOf(statusOf({ brokers, topics }))
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_topic_number'), { DefaultCluster: 3, Other: 1 })
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_topics_without_master'), {
    DefaultCluster: 1,
    Other: 0,
  })
})

test('the memory of frames is shown by what fills it', async () => {
  const metrics = metricsOf(statusOf({}))
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_frame_memory_bytes'), { requests: 4096, replies: 0 })
})

test('names that peers choose cannot create unlimited series, and omitted series are counted', async () => {
  const brokers: BrokerView[] = []
  for (let i = 0; i < 10; i++) brokers.push(broker(`b${i}`, 0, { cluster: `c${i}` }))
  const metrics = metricsOf(statusOf({ brokers }))
  for (const { cluster } of brokers) metrics.registered(cluster, 'new')
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_broker_registrations_total'), {
    'c0 new': 1,
    'c1 new': 1,
    'other new': 8,
  })
  assert.equal((await seriesOf(metrics, 'rocketmq_nameserver_brokers'))['other master'], 8)
  const ages = await seriesOf(metrics, 'rocketmq_nameserver_broker_last_update_age_seconds')
  assert.equal(Object.keys(ages).length, 3)
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_series_omitted'), { broker_last_update_age_seconds: 7 })
})

test('names of refused registrations are no labels, and take no label of a cluster that registers later', async () => {
  const metrics = metricsOf()
  for (let i = 0; i < 10; i++) metrics.registered(`refused-${i}`, 'rejected')
  metrics.registered('DefaultCluster', 'new')
  metrics.registered('DefaultCluster', 'rejected')
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_broker_registrations_total'), {
    'other rejected': 10,
    'DefaultCluster new': 1,
    'DefaultCluster rejected': 1,
  })
})

test('names with control or direction characters and very long names are no labels', async () => {
  const names = ['a\u202eb', 'a\u009bb', 'x'.repeat(256)]
  const brokers = names.flatMap(name => [broker('b', 0, { cluster: name }), broker(name)])
  const metrics = metricsOf({ ...statusOf({ brokers }), kvConfigs: () => names.map(name => [name, 1] as const) })
  assert.deepEqual(Object.keys(await seriesOf(metrics, 'rocketmq_nameserver_brokers')).sort(), [
    'DefaultCluster master',
    'DefaultCluster slave',
    'other master',
    'other slave',
  ])
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_broker_last_update_age_seconds'), {})
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_series_omitted'), { broker_last_update_age_seconds: 6 })
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_kv_configs'), { other: 3 })
})

test('readiness, version and start time are shown', async () => {
  const readiness = () => ({ ready: false, code: 'WAITING', reason: '40 s to go' }) as const
  const metrics = metricsOf(statusOf({ readiness }))
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_ready'), { '': 0 })
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_up'), { '0.1.0': 1 })
  assert.deepEqual(await seriesOf(metrics, 'rocketmq_nameserver_start_time_seconds'), { '': STARTED_AT / 1000 })
})

test('concurrent scrapes share one reading, and later ones read again', async () => {
  const metrics = metricsOf()
  let readings = 0
  metrics.include({ families: () => (readings++, [] as MetricFamily[]) })
  await Promise.all([metrics.families(), metrics.families()])
  assert.equal(readings, 1)
  await metrics.families()
  assert.equal(readings, 2)
})

test('every family has a valid Prometheus name and a help text', async () => {
  const families = await metricsOf(statusOf()).families()
  for (const { name, help, type } of families) {
    assert.match(name, /^rocketmq_[a-z_]+$/)
    assert.match(help, /\.$/)
    assert.equal(name.endsWith('_total'), type === 'counter', name)
  }
  assert.equal(new Set(families.map(family => family.name)).size, families.length)
})

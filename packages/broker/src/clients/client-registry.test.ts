import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type ConsumerData, subscriptionOf } from '@gantrymq/protocol'
import { fakePeer } from '@gantrymq/remoting/testing'
import { type Client, ClientRegistry, MAX_SUBSCRIPTION_TEXT } from './client-registry.ts'

function client(id: number, clientId = `client-${id}`, lastHeartbeat = 0): Client {
  return { clientId, peer: fakePeer({ id }), language: 'JAVA', version: 513, lastHeartbeat }
}

function consumer(topics: readonly string[], given: Partial<ConsumerData> = {}, version = 1): ConsumerData {
  return {
    groupName: 'g',
    consumeType: 'CONSUME_PASSIVELY',
    messageModel: 'CLUSTERING',
    consumeFromWhere: 'CONSUME_FROM_LAST_OFFSET',
    subscriptionDataSet: topics.map(topic => subscriptionOf(topic, '*', version)),
    ...given,
  }
}

test('a group changes when a client joins and when a topic comes or goes, not when a subscription is repeated', () => {
  const registry = new ClientRegistry()
  assert.equal(registry.beatConsumer({ data: consumer(['A']) }, client(1)).changed, true)
  assert.equal(registry.beatConsumer({ data: consumer(['A']) }, client(1)).changed, false)
  assert.equal(registry.beatConsumer({ data: consumer(['A'], {}, 2) }, client(1)).changed, false)
  assert.equal(registry.subscription('g', 'A')?.subVersion, 2)
  assert.equal(registry.beatConsumer({ data: consumer(['A', 'B']) }, client(1)).changed, true)
  assert.equal(registry.beatConsumer({ data: consumer(['B']) }, client(1)).changed, true)
  assert.equal(registry.subscription('g', 'A'), undefined)
})

test('an older subscription does not replace a newer one', () => {
  const registry = new ClientRegistry()
  registry.beatConsumer({ data: consumer(['A'], {}, 5) }, client(1))
  registry.beatConsumer({ data: consumer(['A'], {}, 4) }, client(2))
  assert.equal(registry.subscription('g', 'A')?.subVersion, 5)
})

test('a client that reconnects is there twice until its old connection ends', () => {
  const registry = new ClientRegistry()
  registry.beatConsumer({ data: consumer(['A']) }, client(1, 'c'))
  registry.beatConsumer({ data: consumer(['A']) }, client(2, 'c'))
  assert.deepEqual(registry.consumerIds('g'), ['c', 'c'])
  assert.equal(registry.consumer('g', 'c')?.peer.id, 2)
  assert.deepEqual(registry.drop(1), ['g'])
  assert.deepEqual(registry.consumerIds('g'), ['c'])
})

test('a group without clients is gone, with its subscriptions', () => {
  const registry = new ClientRegistry()
  registry.beatConsumer({ data: consumer(['A']) }, client(1))
  assert.deepEqual(registry.groupsOfTopic('A'), ['g'])
  assert.equal(registry.removeConsumer('g', 1), true)
  assert.equal(registry.removeConsumer('g', 1), false)
  assert.equal(registry.consumerGroup('g'), undefined)
  assert.deepEqual(registry.groupsOfTopic('A'), [])
  assert.equal(registry.size, 0)
})

test('the end of a connection removes its client from all groups', () => {
  const registry = new ClientRegistry()
  registry.beatConsumer({ data: consumer(['A']) }, client(1))
  registry.beatConsumer({ data: consumer(['A'], { groupName: 'h' }) }, client(1))
  registry.beatProducer('p', client(1))
  assert.deepEqual(registry.drop(1), ['g', 'h'])
  assert.equal(registry.producerGroups.size, 0)
  assert.equal(registry.size, 0)
  assert.deepEqual(registry.drop(1), [])
})

test('a producer in two groups gets replies until it has left both', () => {
  const registry = new ClientRegistry()
  assert.equal(registry.beatProducer('p', client(1)), true)
  assert.equal(registry.beatProducer('p', client(1)), false)
  registry.beatProducer('q', client(1))
  registry.removeProducer('p', 1)
  assert.equal(registry.producerPeer('client-1')?.id, 1)
  registry.removeProducer('q', 1)
  assert.equal(registry.producerPeer('client-1'), undefined)
})

test('a connection with several client ids leaves none of them behind', () => {
  const registry = new ClientRegistry()
  const peer = fakePeer({ id: 1 })
  const [one, two] = ['one', 'two'].map(clientId => ({ ...client(1, clientId), peer })) as [Client, Client]
  registry.beatProducer('g1', one)
  registry.beatProducer('g2', two)
  registry.removeProducer('g1', 1)
  assert.equal(registry.producerPeer('one'), undefined)
  assert.equal(registry.producerPeer('two'), peer)
  registry.removeProducer('g2', 1)
  assert.equal(registry.producerPeer('one'), undefined)
  assert.equal(registry.producerPeer('two'), undefined)
})

test('another client id on a known connection takes the place of the one before, for replies too', () => {
  const registry = new ClientRegistry()
  const peer = fakePeer({ id: 1 })
  const as = (clientId: string): Client => ({ ...client(1, clientId), peer })
  registry.beatProducer('p', as('one'))
  registry.beatProducer('q', as('one'))
  assert.equal(registry.beatProducer('p', as('two')), false, 'the connection is not new in the group')
  assert.equal(registry.producerPeer('two'), peer)
  assert.equal(registry.producerPeer('one'), peer, 'it is a producer of the other group still')
  assert.equal(registry.someProducer('p')?.clientId, 'two')
  registry.beatProducer('q', as('two'))
  assert.equal(registry.producerPeer('one'), undefined)
  registry.beatConsumer({ data: consumer(['A']) }, as('one'))
  assert.equal(registry.beatConsumer({ data: consumer(['A']) }, as('two')).changed, false)
  assert.deepEqual(registry.consumerIds('g'), ['two'])
})

test('a client whose newer connection closed gets its replies over the older one', () => {
  const registry = new ClientRegistry()
  const [older, newer] = [client(1, 'c'), client(2, 'c')]
  registry.beatProducer('p', older)
  registry.beatProducer('p', newer)
  assert.equal(registry.producerPeer('c'), newer.peer)
  registry.drop(2)
  registry.beatProducer('p', older)
  assert.equal(registry.producerPeer('c'), older.peer)
})

test('a connection may be in a limited number of groups, and stays in those that it has joined', () => {
  const registry = new ClientRegistry({ maxGroupsPerConnection: () => 2 })
  registry.beatProducer('p', client(1))
  registry.beatConsumer({ data: consumer(['A']) }, client(1))
  assert.equal(registry.mayProduce('p', 1), true)
  assert.equal(registry.mayConsume(consumer(['A']), 1), true)
  assert.equal(registry.mayProduce('q', 1), false)
  assert.equal(
    registry.mayConsume(consumer(['A'], { groupName: 'p' }), 1),
    false,
    'a group of consumers with the name of one of producers is another one',
  )
  assert.equal(registry.mayConsume(consumer(['A'], { groupName: 'h' }), 2), true)
  registry.removeProducer('p', 1)
  assert.equal(registry.mayProduce('q', 1), true)
})

test('the producers of a group are asked in turn; those that have closed, or do not read, are passed over', () => {
  const registry = new ClientRegistry()
  const closed = { ...client(2), peer: fakePeer({ id: 2, isOpen: false }) }
  const deaf = { ...client(4), peer: fakePeer({ id: 4, isBehind: true }) }
  for (const each of [client(1), closed, client(3), deaf]) registry.beatProducer('p', each)
  const asked = new Set(Array.from({ length: 8 }, () => registry.someProducer('p')?.clientId))
  assert.deepEqual(asked, new Set(['client-1', 'client-3']))
  assert.equal(registry.someProducer('unknown'), undefined)
})

test('clients without a heartbeat for more than two minutes have expired', () => {
  const registry = new ClientRegistry()
  registry.beatConsumer({ data: consumer(['A']) }, client(1))
  registry.beatProducer('p', client(2, 'late', 1000))
  assert.deepEqual(registry.expired(120_000), [])
  assert.deepEqual(
    registry.expired(120_001).map(({ id }) => id),
    [1],
  )
  registry.beatConsumer({ data: consumer(['A']) }, client(1, 'client-1', 120_001))
  assert.deepEqual(registry.expired(120_001), [])
})

test('a heartbeat without subscriptions keeps those of the last one, and a group that is unknown asks for them', () => {
  const registry = new ClientRegistry()
  const short = { data: consumer([]), fingerprint: 7, withoutSubscriptions: true }
  assert.equal(registry.beatConsumer(short, client(1)).needsSubscriptions, true)
  registry.beatConsumer({ data: consumer(['A']), fingerprint: 7 }, client(1))
  assert.deepEqual(registry.beatConsumer(short, client(1)), { changed: false, needsSubscriptions: false })
  assert.equal(registry.subscription('g', 'A')?.topic, 'A')
  assert.equal(registry.beatConsumer({ ...short, fingerprint: 8 }, client(1)).needsSubscriptions, true)
})

test('a connection brings subscriptions up to a total length, and what it leaves or replaces does not count', () => {
  const registry = new ClientRegistry()
  const half = '*'.repeat(MAX_SUBSCRIPTION_TEXT / 2)
  const long = (groupName: string, expression = half) =>
    consumer([], { groupName, subscriptionDataSet: [{ ...subscriptionOf('A', '*', 1), subString: expression }] })
  assert.equal(registry.mayConsume(long('g'), 1), true)
  registry.beatConsumer({ data: long('g') }, client(1))
  assert.equal(registry.mayConsume(long('g'), 1), true)
  assert.equal(registry.mayConsume(long('h'), 1), false)
  assert.equal(registry.mayConsume(long('h'), 2), true)
  registry.beatConsumer({ data: long('g', '*') }, client(1))
  assert.equal(registry.mayConsume(long('h'), 1), true)
  registry.beatConsumer({ data: long('h') }, client(1))
  registry.removeConsumer('h', 1)
  assert.equal(registry.mayConsume(long('i'), 1), true)
})

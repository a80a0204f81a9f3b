import assert from 'node:assert/strict'
import { channel } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { Admin, Producer } from '@gantrymq/client'
import type { Cluster } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import type { Owner } from '../launch/launched-program.ts'

/** The second port of a broker is two below the first. */
const SECOND = -2

/** Records the connections that this process opens. Returns a function: remote port -> local addresses. */
function watchSockets(t: Owner): (port: number) => string[] {
  const sockets: Socket[] = []
  const note = (message: unknown): void => void sockets.push((message as { readonly socket: Socket }).socket)
  const opened = channel('net.client.socket')
  opened.subscribe(note)
  t.after(async () => {
    opened.unsubscribe(note)
  })
  return port =>
    sockets.filter(({ remotePort }) => remotePort === port).map(({ localPort }) => `127.0.0.1:${localPort}`)
}

/** Checks with the broker's own data that clients with `vipChannel` use its second port. */
export function secondPort(cluster: () => Cluster): void {
  test('a producer with vipChannel sends on a connection to the second port', { timeout: 60_000 }, async t => {
    const topic = await cluster().topic('second')
    const endsAt = watchSockets(t)
    const { nameServers, broker } = cluster()
    const admin = await Admin.start({ nameServers })
    t.after(() => admin.close())
    for (const vipChannel of [true, false]) {
      const own = { vipChannel, instanceName: unique('second-port') }
      const producer = await Producer.start({ nameServers, group: unique('producer'), ...own })
      t.after(() => producer.close())
      const { messageId } = await producer.send({ topic, body: 'x' })
      const ends = endsAt(vipChannel ? broker.port + SECOND : broker.port)
      // The broker writes its index a little later.
      await eventually(async () => {
        const [found] = await admin.messages.byUniqueId(topic, messageId)
        assert.ok(
          ends.includes(found?.bornHost ?? ''),
          `its bornHost is ${found?.bornHost}, not one of ${ends.join(', ')}`,
        )
      })
    }
  })

  test('the broker knows a consumer by its connection to the first port', { timeout: 60_000 }, async t => {
    const topic = await cluster().topic('second')
    const group = unique('group')
    const endsAt = watchSockets(t)
    const own = { vip: true, instanceName: unique('second-port') }
    const consumer = await cluster().ours.consume(t, { group, subscriptions: { [topic]: '*' }, ...own })
    await cluster().java.send([{ topic, body: 'x' }])
    await consumer.received.containing(['x'], 30_000)
    const answer = await cluster().java.ask<{ readonly connectionSet: readonly { readonly clientAddr: string }[] }>(
      'consumerConnection',
      { group },
    )
    const [address] = answer.connectionSet.map(({ clientAddr }) => clientAddr)
    assert.ok(endsAt(cluster().broker.port).includes(address ?? ''), `the broker knows it by ${address}`)
  })
}

// Administers a cluster from a program: topics, groups, offsets, messages.
import { Admin, Producer } from '@gantrymq/client'

const nameServers = process.env['NAMESRV_ADDR'] ?? '127.0.0.1:9876'
await using admin = await Admin.start({ nameServers })

const [cluster = ''] = await admin.clusters.names()
await admin.topics.create('ExampleAdmin', { cluster }, { queues: 2 })
await admin.groups.create('example-admin', { cluster }, { retryMaxTimes: 3 })

await using producer = await Producer.start({ nameServers, group: 'example-admin' })
const { messageId, queue } = await producer.send({ topic: 'ExampleAdmin', body: 'look for me', keys: 'order-42' })
console.log(`${queue.brokerName} has offsets up to ${await admin.offsets.max(queue)}`)

const found = await admin.messages.byId('ExampleAdmin', messageId)
console.log(`found: ${found?.body.toString()}, stored ${new Date(found?.storeTimestamp ?? 0).toISOString()}`)

// Sets the offset of a group that has no running consumer. `admin.offsets.reset` also works for running groups, and by time.
await admin.offsets.commit('example-admin', queue, 0)
console.log(`example-admin begins at ${await admin.offsets.committed('example-admin', queue)}`)

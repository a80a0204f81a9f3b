// Registers like a broker, and asks for the route of a topic like a client.
import { encodeRegisterBroker, nameServerRequests, noRegistration, OUR_VERSION } from '@gantrymq/protocol'
import { NameServer } from '@gantrymq/namesrv'
import { RemotingClient } from '@gantrymq/remoting'

await using server = await NameServer.start({ host: '127.0.0.1', port: 0 })
await using client = new RemotingClient()
const nameServer = `127.0.0.1:${server.address.port}`

const queues = {
  readQueueNums: 4,
  writeQueueNums: 4,
  perm: 6,
  topicFilterType: 'SINGLE_TAG',
  topicSysFlag: 0,
  order: false,
}
const topics = new Map(['Orders', 'Refunds'].map(topicName => [topicName, { topicName, ...queues }]))
const registration = { ...noRegistration, topics }

await client.call(nameServer, nameServerRequests.REGISTER_BROKER, {
  header: { clusterName: 'DefaultCluster', brokerName: 'broker-a', brokerId: 0, brokerAddr: '10.0.0.7:10911' },
  body: encodeRegisterBroker(registration, { version: OUR_VERSION, compressed: false }),
})

const { body: route } = await client.call(nameServer, nameServerRequests.GET_ROUTEINFO_BY_TOPIC, {
  header: { topic: 'Orders' },
})
for (const { brokerName, writeQueueNums } of route?.queueDatas ?? []) {
  console.log(`Orders has ${writeQueueNums} queues on ${brokerName}`)
}

// The KV configuration, as `mqadmin updateKvConfig` writes it. It is on disk, in Java's format, before the answer is sent.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { nameServerRequests } from '@gantrymq/protocol'
import { NameServer } from '@gantrymq/namesrv'
import { RemotingClient } from '@gantrymq/remoting'

const folder = await mkdtemp(join(tmpdir(), 'key-values-'))
await using cleanUp = new AsyncDisposableStack()
cleanUp.defer(() => rm(folder, { recursive: true }))

const kvConfigPath = join(folder, 'kvConfig.json')
await using server = await NameServer.start({ host: '127.0.0.1', port: 0, kvConfigPath })
await using client = new RemotingClient()

await client.call(`127.0.0.1:${server.address.port}`, nameServerRequests.PUT_KV_CONFIG, {
  header: { namespace: 'ORDER_TOPIC_CONFIG', key: 'Orders', value: 'broker-a:4' },
})
console.log(await readFile(kvConfigPath, 'utf8'))

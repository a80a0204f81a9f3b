// Probes, the list of brokers, and why a topic has no route, over HTTP on the same port.
import { NameServer } from '@gantrymq/namesrv'

await using server = await NameServer.start({ host: '127.0.0.1', port: 0 })

async function show(path: string): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${server.httpAddress?.port}${path}`)
  console.log(path, response.status, await response.text())
}

await show('/readyz')
await show('/api/v1/brokers')
await show('/api/v1/topics/Orders/why')

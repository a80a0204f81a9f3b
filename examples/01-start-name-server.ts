// A name server inside a program. It is closed at the end of the block, also after an error.
import { NameServer } from '@gantrymq/namesrv'

await using server = await NameServer.start({ port: 0 })

console.log(`brokers and clients use port ${server.address.port}`)

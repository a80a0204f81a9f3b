// A name server inside a program. It is closed where the block ends, whatever happens in between.
import { NameServer } from '@gantrymq/namesrv'

await using server = await NameServer.start({ port: 0 })

console.log(`brokers and clients use port ${server.address.port}`)

// TLS with Node's options, and credentials for ACL. Servers that do not check credentials ignore them.
import { readFileSync } from 'node:fs'
import { ClientError, Producer } from '@gantrymq/client'

const { NAMESRV_ADDR = '127.0.0.1:9876', CA_FILE, ACCESS_KEY = 'RocketMQ', SECRET_KEY = '12345678' } = process.env

try {
  await using producer = await Producer.start({
    nameServers: NAMESRV_ADDR,
    group: 'example-secure',
    // Without a CA file any certificate is accepted, as in Apache's tests. Never do that in production.
    tls: CA_FILE === undefined ? { rejectUnauthorized: false } : { ca: readFileSync(CA_FILE) },
    credentials: { accessKey: ACCESS_KEY, secretKey: SECRET_KEY },
  })
  const { messageId } = await producer.send({ topic: 'ExampleSecure', body: 'for you only' })
  console.log(`stored as ${messageId}`)
} catch (error) {
  // BROKER_REFUSED with code 16 (NO_PERMISSION) if the account lacks the permission, TLS if the handshake failed.
  if (error instanceof ClientError) console.error(error.code, error.message)
  throw error
}

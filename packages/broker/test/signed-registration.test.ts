import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { Broker, type BrokerStartOptions } from '@gantrymq/broker'
import { nameServerRequests } from '@gantrymq/protocol'
import { brokerInMemory } from './broker-in-memory.ts'

const ACCOUNT = { accessKey: 'broker', secretKey: 'broker-secret' }

/** The brokers that a name server knows which asks for signatures. */
async function knownBrokers(t: TestContext, options: BrokerStartOptions): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'gantry-accounts-'))
  t.after(() => rm(folder, { recursive: true }))
  const credentialsFile = join(folder, 'accounts.properties')
  await writeFile(credentialsFile, 'broker=broker-secret\n', { mode: 0o600 })
  const { client, nameServers } = await brokerInMemory(t, options, { requireSignature: 'changes', credentialsFile })
  const { body } = await client.call(nameServers, nameServerRequests.GET_BROKER_CLUSTER_INFO)
  return [...(body?.brokerAddrTable.keys() ?? [])]
}

test('a broker with innerClientAuthenticationCredentials registers at a name server that asks for signatures', async t => {
  assert.deepEqual(await knownBrokers(t, { innerClientAuthenticationCredentials: ACCOUNT }), ['broker-a'])
})

test('without, or with another secret, it is refused', async t => {
  assert.deepEqual(await knownBrokers(t, {}), [])
  const other = { ...ACCOUNT, secretKey: 'other' }
  assert.deepEqual(await knownBrokers(t, { innerClientAuthenticationCredentials: other }), [])
})

test('credentials without a secret are refused, and the error does not show them', async () => {
  const options = { innerClientAuthenticationCredentials: { accessKey: 'broker', secretKey: '' } }
  await assert.rejects(Broker.start({ ...options, listen: false }), (error: unknown) => {
    assert.match(String(error), /innerClientAuthenticationCredentials is \*+: it must be JSON such as/)
    return true
  })
})

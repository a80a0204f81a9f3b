import assert from 'node:assert/strict'
import type { ConnectionOptions } from 'node:tls'
import { after, describe, test } from 'node:test'
import { Admin, ClientError, Producer, type ProducerOptions, PushConsumer } from '@gantrymq/client'
import { type Release, skipReason } from '../launch/apache.ts'
import { type Certificates, makeCertificates } from './certificates.ts'
import { type Cluster, type ClusterPlan, clusterFor, suiteName } from './cluster.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import { notServed } from './not-served.ts'
import { JavaError } from '../drivers/java-client.ts'
import type { Owner } from '../launch/launched-program.ts'
import type { Properties } from '../launch/launcher.ts'

const OPERATOR = { accessKey: 'operator1', secretKey: 'operator-secret-1' }
const LIMITED = { accessKey: 'limited1', secretKey: 'limited-secret-1' }
const CLOSED_TOPIC = 'closed-topic'

const PLAIN_ACL = `accounts:
- accessKey: ${OPERATOR.accessKey}
  secretKey: ${OPERATOR.secretKey}
  admin: true
- accessKey: ${LIMITED.accessKey}
  secretKey: ${LIMITED.secretKey}
  admin: false
  defaultTopicPerm: PUB|SUB
  defaultGroupPerm: SUB
  topicPerms:
  - ${CLOSED_TOPIC}=DENY
`

const AUTH = 'org.apache.rocketmq.auth'

const AUTHENTICATION: Properties = {
  authenticationEnabled: true,
  authenticationProvider: `${AUTH}.authentication.provider.DefaultAuthenticationProvider`,
  authenticationMetadataProvider: `${AUTH}.authentication.provider.LocalAuthenticationMetadataProvider`,
  initAuthenticationUser: JSON.stringify({ username: OPERATOR.accessKey, password: OPERATOR.secretKey }),
  innerClientAuthenticationCredentials: JSON.stringify(OPERATOR),
  authorizationEnabled: true,
  authorizationProvider: `${AUTH}.authorization.provider.DefaultAuthorizationProvider`,
  authorizationMetadataProvider: `${AUTH}.authorization.provider.LocalAuthorizationMetadataProvider`,
}

/** The response code for an unknown account or a wrong signature: 4.9 has no special code. */
const refusalCode = (release: Release) => (release.startsWith('5.') ? 16 : 1)

function serverTls({ server, authority }: Certificates): Properties {
  return {
    'tls.test.mode.enable': false,
    'tls.server.need.client.auth': 'require',
    'tls.server.keyPath': server.keyPath,
    'tls.server.certPath': server.certPath,
    'tls.server.authClient': true,
    'tls.server.trustCertPath': authority.certPath,
  }
}

function clientTls({ client, authority }: Certificates): Properties {
  return {
    'tls.enable': true,
    'tls.test.mode.enable': false,
    'tls.client.keyPath': client.keyPath,
    'tls.client.certPath': client.certPath,
    'tls.client.authServer': true,
    'tls.client.trustCertPath': authority.certPath,
  }
}

/** As system properties of Java, which Apache's programs read them from. */
const flagsOf = (properties: Properties) => Object.entries(properties).map(([key, value]) => `-D${key}=${value}`)

const accountFlags = [`-Dgantry.accessKey=${OPERATOR.accessKey}`, `-Dgantry.secretKey=${OPERATOR.secretKey}`]

type SecuredPlan = Pick<ClusterPlan, 'release' | 'broker'>

/**
 * A broker that requires mutual TLS and, if it is Apache's, signed requests. Its name server accepts plain and TLS connections.
 */
function securedPlan({ release, broker }: SecuredPlan, certificates: Certificates): ClusterPlan {
  // A broker that requires TLS also uses it for its own requests.
  const ofBroker = { ...serverTls(certificates), ...clientTls(certificates), 'tls.server.mode': 'enforcing' }
  const common = {
    release,
    nameServer: 'Apache',
    nameServerFlags: flagsOf(serverTls(certificates)),
    javaFlags: [...flagsOf(clientTls(certificates)), ...accountFlags],
  } as const
  if (broker === 'ours') return { ...common, broker, properties: ofBroker }
  return {
    ...common,
    properties: release.startsWith('5.') ? AUTHENTICATION : { aclEnable: true },
    files: release.startsWith('5.') ? {} : { 'conf/plain_acl.yml': PLAIN_ACL },
    brokerFlags: flagsOf(ofBroker),
  }
}

/** Signed requests over mutual TLS, and refusals without one of them. */
export async function securityScenarios(plan: SecuredPlan): Promise<void> {
  const title = { title: 'security', nameServer: 'Apache', ...plan } as const
  describe(suiteName(title), { skip: await skipReason() }, () => {
    const closes: (() => Promise<void>)[] = []
    let made: Certificates | undefined
    const cluster = clusterFor(async () => {
      made = await makeCertificates({ after: close => void closes.push(close) })
      return securedPlan(plan, made)
    })
    after(async () => {
      for (const close of closes) await close()
    })
    const secured = () => new SecuredCluster(cluster(), made ?? assert.fail('no certificates'))
    describe('signed over TLS', () => signedOverTls(secured))
    describe('by name and by id', () => namesAndIds(secured))
    describe('accounts', { skip: plan.broker === 'ours' && notServed.accounts }, () => accounts(secured))
    describe('refused', () => tlsRefusals(secured))
  })
}

/** A secured cluster, and the certificates and producers for it. */
class SecuredCluster {
  readonly cluster: Cluster
  readonly tls: ConnectionOptions
  readonly #certificates: Certificates

  constructor(cluster: Cluster, certificates: Certificates) {
    this.cluster = cluster
    this.#certificates = certificates
    const { authority, client } = certificates
    this.tls = { ca: authority.cert, cert: client.cert, key: client.key }
  }

  /** TLS options that trust the authority but have no client certificate. */
  get withoutCertificate(): ConnectionOptions {
    return { ca: this.#certificates.authority.cert }
  }

  /** TLS options that trust another authority. */
  get otherAuthority(): ConnectionOptions {
    const { client } = this.#certificates
    return { ca: client.cert, cert: client.cert, key: client.key }
  }

  async producer(t: Owner, more: Partial<ProducerOptions>): Promise<Producer> {
    const producer = await Producer.start({
      nameServers: this.cluster.nameServers,
      group: unique('producer'),
      credentials: OPERATOR,
      tls: this.tls,
      retries: 0,
      ...more,
    })
    t.after(() => producer.close())
    return producer
  }
}

function signedOverTls(secured: () => SecuredCluster): void {
  test('our producer sends, a Java consumer receives', async t => {
    const { cluster } = secured()
    const topic = await cluster.topic()
    const consumer = await cluster.java.consume(t, { group: unique('group'), subscriptions: { [topic]: '*' } })
    const producer = await secured().producer(t, {})
    await producer.send({ topic, body: 'one' })
    await producer.sendBatch([{ topic, body: 'two' }])
    await consumer.received.containing(['one', 'two'])
  })

  test('Java sends, our consumer receives and commits', async t => {
    const { cluster, tls } = secured()
    const topic = await cluster.topic()
    const bodies: string[] = []
    const { promise: done, resolve } = Promise.withResolvers<void>()
    const consumer = await PushConsumer.start({
      nameServers: cluster.nameServers,
      group: unique('group'),
      credentials: OPERATOR,
      tls,
      subscriptions: { [topic]: '*' },
      consumeFrom: 'first',
      onMessage: message => {
        bodies.push(message.body.toString())
        if (bodies.length === 2) resolve()
      },
    })
    t.after(() => consumer.close())
    await cluster.java.send(['one', 'two'].map(body => ({ topic, body })))
    await done
    assert.deepEqual(bodies.toSorted(), ['one', 'two'])
    await consumer.close()
    const offsets = await cluster.java.consumeOffsets(consumer.group, topic)
    assert.equal(
      offsets.reduce((sum, offset) => sum + offset.consumerOffset, 0),
      2,
    )
  })
}

function namesAndIds(secured: () => SecuredCluster): void {
  // The two release lines sign this request differently, and on a new connection the client does not know the line yet.
  test('an admin finds a message by its id', async t => {
    const { cluster, tls } = secured()
    const topic = await cluster.topic()
    const producer = await secured().producer(t, {})
    const { messageId } = await producer.send({ topic, body: 'one' })
    const admin = await Admin.start({ nameServers: cluster.nameServers, credentials: OPERATOR, tls })
    t.after(() => admin.close())
    await eventually(async () => {
      const [found] = await admin.messages.byUniqueId(topic, messageId)
      assert.equal(found?.body.toString(), 'one')
    })
  })

  test('a client connects to a name server by its host name', async t => {
    const topic = await secured().cluster.topic()
    const producer = await secured().producer(t, { nameServers: `localhost:${secured().cluster.nameServer.port}` })
    await producer.send({ topic, body: 'one' })
  })

  test('the client refuses a server whose certificate has another name, and the error says why', async t => {
    const { cluster, tls } = secured()
    const topic = await cluster.topic()
    const producer = await secured().producer(t, { tls: { ...tls, servername: 'broker.example.org' } })
    await assert.rejects(producer.send({ topic, body: 'one' }), (error: unknown) => {
      assert.ok(error instanceof ClientError)
      assert.match(error.message, /broker\.example\.org.*another name.*servername/s)
      return true
    })
  })
}

function isRefusal(code: number, secret: string) {
  return (error: unknown) => {
    assert.ok(error instanceof ClientError)
    assert.deepEqual([error.code, error.responseCode], ['BROKER_REFUSED', code])
    assert.ok(!JSON.stringify([error.message, error.remark, error.stack]).includes(secret))
    return true
  }
}

function accounts(secured: () => SecuredCluster): void {
  test('a wrong secret is refused, and the error does not contain it', async t => {
    const topic = await secured().cluster.topic()
    const secretKey = 'a-wrong-secret-1'
    const producer = await secured().producer(t, { credentials: { ...OPERATOR, secretKey } })
    const code = refusalCode(secured().cluster.release)
    await assert.rejects(producer.send({ topic, body: 'x' }), isRefusal(code, secretKey))
  })

  test('Java with a wrong secret is refused, too', async () => {
    const topic = await secured().cluster.topic()
    const producer = { group: unique('producer'), accessKey: OPERATOR.accessKey, secretKey: 'a-wrong-secret-1' }
    await assert.rejects(secured().cluster.java.send([{ topic, body: 'x' }], { producer }), JavaError)
  })

  test('an unsigned request is refused', async t => {
    const topic = await secured().cluster.topic()
    const producer = await secured().producer(t, { credentials: undefined })
    await assert.rejects(
      producer.send({ topic, body: 'x' }),
      isRefusal(refusalCode(secured().cluster.release), 'operator-secret'),
    )
  })

  test('a topic that the ACL of 4.9 denies to the account is refused', async t => {
    if (secured().cluster.is5) return t.skip('5.x has users and grants instead of the ACL file')
    await secured().cluster.createTopic(CLOSED_TOPIC)
    const open = await secured().cluster.topic()
    const producer = await secured().producer(t, { credentials: LIMITED })
    await producer.send({ topic: open, body: 'x' })
    await assert.rejects(producer.send({ topic: CLOSED_TOPIC, body: 'x' }), isRefusal(1, LIMITED.secretKey))
  })

  test('a topic for which the user of 5.x has no grant is refused', async t => {
    const { cluster, tls } = secured()
    if (!cluster.is5) return t.skip('4.9 has an ACL file instead of users and grants')
    const topic = await cluster.topic()
    const admin = await Admin.start({ nameServers: cluster.nameServers, credentials: OPERATOR, tls })
    t.after(() => admin.close())
    const { accessKey, secretKey } = LIMITED
    await admin.auth.createUser(accessKey, { password: secretKey }, { broker: cluster.broker.address })
    const producer = await secured().producer(t, { credentials: LIMITED })
    await assert.rejects(producer.send({ topic, body: 'x' }), (error: unknown) => {
      assert.match(String(error), /no permission.*check the permissions of topic and broker/s)
      return isRefusal(16, secretKey)(error)
    })
  })
}

function tlsRefusals(secured: () => SecuredCluster): void {
  for (const how of ['without TLS', 'without a certificate', 'of an unknown authority'] as const) {
    test(`a connection ${how} fails within the timeout`, async t => {
      const { cluster, withoutCertificate, otherAuthority } = secured()
      const topic = await cluster.topic()
      const tls = {
        'without TLS': false,
        'without a certificate': withoutCertificate,
        'of an unknown authority': otherAuthority,
      }
      const attempt = async () => {
        const producer = await secured().producer(t, { tls: tls[how] })
        await producer.send({ topic, body: 'x' }, { timeoutMs: 5_000 })
      }
      await assert.rejects(attempt(), error => error instanceof ClientError)
    })
  }
}

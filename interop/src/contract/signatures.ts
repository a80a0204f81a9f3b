import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Admin, ClientError } from '@gantrymq/client'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import { type Release, RELEASES, skipReason } from '../launch/apache.ts'
import type { Owner } from '../launch/launched-program.ts'
import {
  type LaunchedServer,
  runMqadmin,
  startApacheBroker,
  startProgram,
  temporaryFolder,
} from '../launch/launcher.ts'
import { startOurProgram } from '../launch/our-name-server.ts'
import { signingBroker, signingMqadmin } from '../launch/signing.ts'
import { ask, brokersOf } from '../wire/raw-connection.ts'

const BROKER = { accessKey: 'broker-account', secretKey: 'broker-secret-1' }
const OPERATOR = { accessKey: 'operator-account', secretKey: 'operator-secret-1' }
/** Accounts of a 4.9 broker, with the account that signs elsewhere: the broker checks signatures with it, but does not sign. */
const PLAIN_ACL = `accounts:
- accessKey: ${BROKER.accessKey}
  secretKey: ${BROKER.secretKey}
  admin: true
`
const CLUSTER = 'DefaultCluster'
const SIGNING = 'signing-broker'
const PROGRAM_MS = 60_000

/** Name servers that ask for signatures, with a broker of 5.5.0 that signs and one of 4.9.7, which cannot. */
class GuardedCluster {
  readonly owner: Owner
  /** Asks for signatures of changes. */
  readonly strict: LaunchedServer
  /** Lets brokers of this machine register without. */
  readonly trusting: LaunchedServer
  /** Asks for signatures of all requests. */
  readonly closed: LaunchedServer
  readonly signing: LaunchedServer
  readonly unsigned: LaunchedServer

  private constructor(
    owner: Owner,
    [strict, trusting, closed]: readonly [LaunchedServer, LaunchedServer, LaunchedServer],
    [signing, unsigned]: readonly [LaunchedServer, LaunchedServer],
  ) {
    this.owner = owner
    this.strict = strict
    this.trusting = trusting
    this.closed = closed
    this.signing = signing
    this.unsigned = unsigned
  }

  static async start(owner: Owner): Promise<GuardedCluster> {
    const credentialsFile = join(await temporaryFolder(owner), 'accounts.properties')
    const accounts = [BROKER, OPERATOR].map(({ accessKey, secretKey }) => `${accessKey}=${secretKey}\n`)
    await writeFile(credentialsFile, accounts.join(''), { mode: 0o600 })
    const [strict, trusting, closed] = await Promise.all([
      startOurProgram(owner, { requireSignature: 'changes', credentialsFile }),
      startOurProgram(owner, { requireSignature: 'changes', credentialsFile, unsignedBrokerRanges: '127.0.0.0/8' }),
      startOurProgram(owner, { requireSignature: 'all', credentialsFile }),
    ])
    const [signing, unsigned] = await Promise.all([
      startApacheBroker(owner, {
        release: '5.5.0',
        name: SIGNING,
        nameServers: [strict.address, trusting.address, closed.address],
        // An unsigned query, which the closed one refuses, finds out where a broker is known.
        knownAt: [strict.port, trusting.port],
        properties: signingBroker(BROKER),
      }),
      startApacheBroker(owner, {
        release: '4.9.7',
        name: 'unsigned-broker',
        nameServers: [strict.address, trusting.address],
        knownAt: [trusting.port],
        properties: { aclEnable: true },
        files: { 'conf/plain_acl.yml': PLAIN_ACL },
      }),
    ])
    return new GuardedCluster(owner, [strict, trusting, closed], [signing, unsigned])
  }

  /** Creates a topic at the signing broker, and waits until the strict name server has a route to it. */
  async topic(name: string): Promise<string> {
    const admin = await Admin.start({ nameServers: this.strict.address })
    try {
      await admin.topics.create(name, { broker: this.signing.address })
    } finally {
      await admin.close()
    }
    const query = { code: 105, extFields: { topic: name } }
    await eventually(async () => assert.equal((await ask(this.strict.port, query)).code, 0))
    return name
  }
}

/** Brokers, mqadmin and clients of Apache at name servers of ours that ask for signatures. */
export async function signatureScenarios(): Promise<void> {
  describe('requireSignature: our mqnamesrv', { skip: await skipReason() }, () => {
    const closes: (() => Promise<void>)[] = []
    let started: GuardedCluster | undefined
    const cluster = () => started ?? assert.fail('the cluster did not start')
    before(async () => {
      started = await GuardedCluster.start({ after: close => void closes.push(close) })
    })
    after(async () => {
      for (const close of closes.toReversed()) await close()
    })
    describe('brokers', () => brokers(cluster))
    for (const release of RELEASES) describe(`mqadmin ${release}`, () => mqadmin(cluster, release))
    describe('clients', () => clients(cluster))
    describe('a broker leaves', () => departure(cluster))
  })
}

function brokers(cluster: () => GuardedCluster): void {
  test('a broker of 5.5.0 with innerClientAuthenticationCredentials registers', async () => {
    const { strict, signing } = cluster()
    assert.deepEqual(await brokersOf(strict.port), [signing.address])
  })

  test('a broker of 4.9.7 with ACL, which cannot sign, is refused, and both logs say why', async () => {
    const { strict, unsigned } = cluster()
    assert.match(await strict.wholeLog(), /request refused by requireSignature.*REGISTER_BROKER.*no_access_key/)
    assert.match(await unsigned.wholeLog(), /CODE: 16 +DESC: REGISTER_BROKER must be signed.*unsignedBrokerRanges/)
  })

  test('it registers where unsignedBrokerRanges has its address', async () => {
    const { trusting, signing, unsigned } = cluster()
    assert.deepEqual((await brokersOf(trusting.port)).toSorted(), [signing.address, unsigned.address].toSorted())
  })
}

interface Change {
  readonly command: string
  readonly args: readonly string[]
  readonly done: RegExp
  readonly refused: RegExp
}

/** Commands that change something at name servers. */
function changesTo(topic: string): readonly Change[] {
  return [
    {
      command: 'updateKvConfig',
      args: ['-s', 'space', '-k', topic, '-v', 'value'],
      done: /create or update kv config to namespace success/,
      refused: /CODE: 16 +DESC: PUT_KV_CONFIG must be signed.*tools\.yml/,
    },
    {
      command: 'deleteKvConfig',
      args: ['-s', 'space', '-k', topic],
      done: /delete kv config from namespace success/,
      refused: /CODE: 16 +DESC: DELETE_KV_CONFIG must be signed/,
    },
    {
      command: 'updateNamesrvConfig',
      args: ['-k', 'orderMessageEnable', '-v', 'true'],
      done: /update name server config success/,
      refused: /CODE: 16 +DESC: UPDATE_NAMESRV_CONFIG must be signed/,
    },
    {
      command: 'wipeWritePerm',
      args: ['-b', SIGNING],
      done: /wipe write perm of broker\[signing-broker\] in name server\[\S+\] OK, [1-9]/,
      refused: /CODE: 16 +DESC: WIPE_WRITE_PERM_OF_BROKER must be signed/,
    },
    {
      command: 'addWritePerm',
      args: ['-b', SIGNING],
      done: /add write perm of broker\[signing-broker\] in name server\[\S+\] OK, [1-9]/,
      refused: /CODE: 16 +DESC: ADD_WRITE_PERM_OF_BROKER must be signed/,
    },
    {
      command: 'deleteTopic',
      args: ['-c', CLUSTER, '-t', topic],
      done: /delete topic \[\S+\] from NameServer success/,
      refused: /CODE: 16 +DESC: DELETE_TOPIC_IN_NAMESRV must be signed/,
    },
  ]
}

function mqadmin(cluster: () => GuardedCluster, release: Release): void {
  for (const [how, signs] of [
    ['without credentials changes nothing, and is told what to do', false],
    ['with credentials in conf/tools.yml changes everything, and reads where all requests must be signed', true],
  ] as const) {
    test(how, async () => {
      const { strict, closed } = cluster()
      const topic = await cluster().topic(`topic-${release.replaceAll('.', '-')}-${signs ? 'signed' : 'unsigned'}`)
      const cases = [
        ...changesTo(topic).map(change => ({ ...change, at: strict })),
        {
          at: closed,
          command: 'clusterList',
          args: [],
          done: new RegExp(SIGNING),
          refused: /CODE: 16 +DESC: GET_BROKER_CLUSTER_INFO must be signed/,
        },
      ]
      const commands = cases.map(({ at, command, args }) => [command, '-n', at.address, ...args])
      const files = signs ? signingMqadmin(OPERATOR) : {}
      const outputs = await runMqadmin(cluster().owner, release, commands, { files })
      for (const [index, { command, done, refused }] of cases.entries()) {
        const output = outputs[index] ?? ''
        assert.match(output, signs ? done : refused, command)
        assert.doesNotMatch(output, signs ? refused : done, command)
      }
    })
  }
}

function clients(cluster: () => GuardedCluster): void {
  for (const release of RELEASES) {
    test(`a producer of ${release} without credentials reads routes and sends`, async () => {
      const { owner, strict } = cluster()
      const topic = await cluster().topic(unique('traffic'))
      const producer = await startProgram(owner, release, 'Produce', [strict.address, topic, 3, 0, 'word'])
      await producer.succeeds(PROGRAM_MS)
      assert.match(producer.output, /^done 3 0$/m)
    })
  }

  test('our admin with credentials changes the KV configuration, and without it is refused', async () => {
    const { strict } = cluster()
    for (const credentials of [OPERATOR, undefined, { ...OPERATOR, secretKey: 'wrong-secret' }]) {
      const admin = await Admin.start({ nameServers: strict.address, credentials })
      try {
        const put = admin.config.putKV('space', 'ours', 'value')
        if (credentials === OPERATOR) await put
        else await assert.rejects(put, error => error instanceof ClientError && error.responseCode === 16)
        assert.equal(await admin.config.getKV('space', 'ours'), 'value')
      } finally {
        await admin.close()
      }
    }
  })
}

function departure(cluster: () => GuardedCluster): void {
  test('a signed broker unregisters when it stops', async () => {
    const { strict, signing } = cluster()
    const stopping = signing.stop()
    await eventually(async () => assert.deepEqual(await brokersOf(strict.port), []))
    assert.match(await strict.wholeLog(), /unregisterBroker, remove from brokerLiveTable OK/)
    // The rest of an orderly stop takes it ten seconds and more.
    await signing.kill()
    await stopping
  })
}

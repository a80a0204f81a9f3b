import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Release, skipReason } from '../launch/apache.ts'
import type { Owner } from '../launch/launched-program.ts'
import { type LaunchedServer, runMqadmin, startApacheBroker, startApacheNameServer } from '../launch/launcher.ts'
import { parseFastjson } from '../wire/raw-frame.ts'
import type { NameServerKind } from '../launch/name-servers.ts'

const TOPIC = 'admin'
const BROKER = 'admin-broker'
const CLUSTER = 'DefaultCluster'
const NAMESPACE = ['-s', 'admin-namespace', '-k', 'key']

/** An mqadmin command, and how to compare its outputs at two name servers. */
interface AdminCase {
  readonly command: readonly string[]
  /** The part of the output that must be equal. Default: all of it. */
  readonly compare?: (output: string) => unknown
  /** What both outputs must contain, so that the case fails if the command fails at both. */
  readonly contains: RegExp
}

const lines = (output: string) => output.split('\n').filter(Boolean).toSorted()
const firstWords = (output: string) => lines(output).map(line => line.split(/[\s:]/)[0])
/**
 * The columns up to the version; those with load and disk figures change all the time. A broker that has just started
 * answers some requests with an exception, which mqadmin prints between the rows.
 */
const stableColumns = (output: string) =>
  lines(output)
    .filter(line => line.startsWith('#') || line.startsWith(CLUSTER))
    .map(line => line.split(/\s+/).slice(0, 4))

function adminCases(broker: string): Readonly<Record<string, AdminCase>> {
  return {
    updateTopic: { command: ['updateTopic', '-c', CLUSTER, '-t', TOPIC], contains: /create topic to \S+ success/ },
    clusterList: { command: ['clusterList'], compare: stableColumns, contains: new RegExp(BROKER) },
    topicList: { command: ['topicList'], compare: lines, contains: new RegExp(`^${TOPIC}$`, 'm') },
    'topicList -c': { command: ['topicList', '-c'], compare: lines, contains: new RegExp(`${CLUSTER} +${TOPIC}`) },
    topicRoute: { command: ['topicRoute', '-t', TOPIC], compare: parseFastjson, contains: /"perm":6/ },
    'topicRoute of an unknown topic': {
      command: ['topicRoute', '-t', 'nowhere'],
      // The releases name different documentation.
      compare: output => /CODE: \d+ .*/.exec(output)?.[0],
      contains: /CODE: 17 /,
    },
    topicClusterList: { command: ['topicClusterList', '-t', TOPIC], contains: new RegExp(`^${CLUSTER}$`, 'm') },
    updateKvConfig: {
      command: ['updateKvConfig', ...NAMESPACE, '-v', 'value'],
      contains: /^create or update kv config /,
    },
    deleteKvConfig: { command: ['deleteKvConfig', ...NAMESPACE], contains: /^delete kv config from namespace success/ },
    'updateOrderConf put': {
      command: ['updateOrderConf', '-t', TOPIC, '-m', 'put', '-v', `${BROKER}:4`],
      contains: /update orderConf success/,
    },
    'updateOrderConf get': {
      command: ['updateOrderConf', '-t', TOPIC, '-m', 'get'],
      contains: new RegExp(`orderConf=\\[${BROKER}:4\\]`),
    },
    'updateOrderConf delete': {
      command: ['updateOrderConf', '-t', TOPIC, '-m', 'delete'],
      contains: /delete orderConf success/,
    },
    // Ours has more keys and some other defaults; the form is the same.
    getNamesrvConfig: {
      command: ['getNamesrvConfig'],
      compare: output => /^listenPort +=  \d+$/m.test(output),
      contains: /^=+NAME_SERVER=+$/m,
    },
    updateNamesrvConfig: {
      command: ['updateNamesrvConfig', '-k', 'orderMessageEnable', '-v', 'true'],
      contains: /update name server config success!/,
    },
    'updateNamesrvConfig of a forbidden key': {
      command: ['updateNamesrvConfig', '-k', 'kvConfigPath', '-v', '/tmp/elsewhere'],
      // The remark differs between 4.9 and 5.x, and so do the Java stack frames.
      compare: output => /CODE: \d+/.exec(output)?.[0],
      contains: /CODE: 16/,
    },
    wipeWritePerm: { command: ['wipeWritePerm', '-b', BROKER], contains: /OK, [1-9]\d*/ },
    addWritePerm: { command: ['addWritePerm', '-b', BROKER], contains: /OK, [1-9]\d*/ },
    brokerStatus: { command: ['brokerStatus', '-b', broker], compare: firstWords, contains: /^putTps/m },
    deleteTopic: { command: ['deleteTopic', '-c', CLUSTER, '-t', TOPIC], contains: /from NameServer success/ },
  }
}

async function outputsAt(
  owner: Owner,
  release: Release,
  nameServer: string,
  broker: string,
): Promise<Map<string, string>> {
  const cases = Object.entries(adminCases(broker))
  const commands = cases.map(([, { command }]) => [command[0] ?? '', '-n', nameServer, ...command.slice(1)])
  const outputs = await runMqadmin(owner, release, commands)
  return new Map(cases.map(([name], index) => [name, (outputs[index] ?? '').replaceAll(nameServer, 'NAME_SERVER')]))
}

interface Outputs {
  readonly ofServer: ReadonlyMap<string, string>
  readonly ofApache: ReadonlyMap<string, string>
}

async function collect(owner: Owner, kind: NameServerKind, release: Release): Promise<Outputs> {
  const [tried, apache] = await Promise.all([kind.start(owner), startApacheNameServer(owner, release)])
  const address = `127.0.0.1:${tried.port}`
  const broker: LaunchedServer = await startApacheBroker(owner, {
    release,
    name: BROKER,
    nameServers: [address, apache.address],
  })
  const ofServer = await outputsAt(owner, release, address, broker.address)
  return { ofServer, ofApache: await outputsAt(owner, release, apache.address, broker.address) }
}

/** Runs the same mqadmin commands at a name server and at Apache's of the same release, and compares the outputs. */
export async function adminComparison(kind: NameServerKind, release: Release): Promise<void> {
  const skip = kind.skip || (await skipReason())
  describe(`mqadmin ${release}: ${kind.name}, compared with Apache ${release}`, { skip }, () => {
    const closes: (() => Promise<void>)[] = []
    let outputs: Outputs | undefined
    before(async () => {
      outputs = await collect({ after: close => void closes.push(close) }, kind, release)
    })
    after(async () => {
      for (const close of closes.toReversed()) await close()
    })
    describe('output of commands', () => {
      for (const [name, { compare, contains }] of Object.entries(adminCases(''))) {
        test(name, () => {
          const output = outputs?.ofServer.get(name) ?? ''
          assert.match(output, contains)
          const same = compare ?? (text => text)
          assert.deepEqual(same(output), same(outputs?.ofApache.get(name) ?? ''))
        })
      }
    })
  })
}

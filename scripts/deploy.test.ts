import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { Broker, type BrokerOptions, brokerOptions } from '@gantrymq/broker'
import { findOptions } from '@gantrymq/daemon'
import { NameServer, type NameServerOptions, nameServerOptions } from '@gantrymq/namesrv'
import {
  allOf,
  broker,
  type Compose,
  type Deployed,
  entrypoint,
  imageEnvironment,
  kubernetes,
  nameServer,
  pod,
  readDeployed,
  readYaml,
  stages,
  type Texts,
  unit,
  unitEnvironment,
} from './deploy-files.ts'

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Texts; devDependencies: Texts }

const programs = [nameServer, broker]
type Options = NameServerOptions | BrokerOptions

const tableOf = ({ program }: Deployed) => (program === 'mqbroker' ? brokerOptions : nameServerOptions)

/** The environment of each program in each file. */
function environments(deployed: Deployed): [file: string, environment: Texts][] {
  const image = imageEnvironment(deployed)
  const { services } = readYaml('compose.yaml') as Compose
  const composed = Object.entries(services).filter(([, { build }]) => build?.target === deployed.stage)
  assert.ok(composed.length > 0)
  return [
    [`Dockerfile, ${deployed.stage}`, image],
    [deployed.manifest, pod(deployed).environment],
    [deployed.unit, unitEnvironment(deployed)],
    ...composed.map(([name, { environment = {} }]): [string, Texts] => [
      `compose.yaml, ${name}`,
      { ...image, ...environment },
    ]),
  ]
}

function optionsOf(deployed: Deployed, environment: Texts): Options {
  const home = environment['HOME'] ?? ''
  const { options, problems } =
    deployed.program === 'mqbroker'
      ? findOptions(brokerOptions, { environment, home })
      : findOptions(nameServerOptions, { environment, home })
  assert.deepEqual(problems, [])
  return options
}

for (const deployed of programs) {
  for (const [file, environment] of environments(deployed)) {
    test(`the GANTRY variables of deploy/${file} are options with valid values`, () => {
      const table = tableOf(deployed)
      const known: string[] = table.names.map(name => table.variable(name as never))
      const variables = Object.keys(environment).filter(name => name.startsWith('GANTRY_'))
      assert.ok(variables.length > 0)
      assert.deepEqual(
        variables.filter(name => !known.includes(name)),
        [],
      )
      optionsOf(deployed, environment)
    })
  }
}

// -- The programs ------------------------------------------------------------------------------------------------------

const flagsIn = (command: string) => command.match(/--[\w-]+=\d+/g)
const nodeFlags = ({ program }: Deployed) => flagsIn(manifest.scripts[program] ?? '')
/** Where a built package has its programs, below the folder that npm installs it into. */
const INSTALLED = /\/node_modules\/gantrymq\/bin\/(\w+)\.js$/

/** Runs a command of deploy/ with the source of its program. */
async function versionSaidBy(command: readonly string[]): Promise<string> {
  const words = command.slice(command.indexOf('node') + 1)
  const args = words.map(word => word.replace(INSTALLED, (_path, name) => `packages/gantrymq/src/bin/${name}.ts`))
  const isSource = (word: string) => word.startsWith('packages/')
  const end = args.findIndex(word => isSource(word.slice(word.indexOf('packages/'))))
  const script = args[end] ?? ''
  const file = script.slice(script.indexOf('packages/'))
  const { stdout } = await promisify(execFile)(process.execPath, [...args.slice(0, end), file, '--version'])
  return stdout
}

for (const deployed of programs) {
  const { program, stage } = deployed

  test(`the image ${stage} and the unit run ${program}, with the flags of npm run ${program}`, async () => {
    const { version } = JSON.parse(readFileSync('packages/gantrymq/package.json', 'utf8')) as { version: string }
    const [start = ''] = unit(deployed).get('ExecStart') ?? []
    for (const command of [entrypoint(deployed), start.split(' ')]) {
      assert.deepEqual(flagsIn(command.join(' ')), nodeFlags(deployed))
      assert.deepEqual(
        command.flatMap(word => INSTALLED.exec(word)?.[1] ?? []),
        [program],
      )
      assert.match(await versionSaidBy(command), new RegExp(`\\b${version}\\b`))
    }
  })

  test(`the unit of ${program} runs it not as root, and lets it stop in order`, () => {
    assert.deepEqual(unit(deployed).get('User'), ['rocketmq'])
    const defaults = tableOf(deployed).resolve()
    assert.ok(Number(unit(deployed).get('TimeoutStopSec')?.[0]) >= secondsToStop(defaults))
    assert.ok(Number(unit(deployed).get('LimitNOFILE')?.[0]) > defaults.maxConnections)
    const [folder = ''] = unit(deployed).get('StateDirectory') ?? []
    assert.equal(unitEnvironment(deployed)['HOME'], `/var/lib/${folder}`)
  })

  test(`Kubernetes lets ${program} stop in order, and its selectors and ports fit together`, () => {
    const { spec, metadata, container, environment } = pod(deployed)
    const options = optionsOf(deployed, environment)
    assert.ok(spec.terminationGracePeriodSeconds >= secondsToStop(options))
    for (const { kind, spec: of } of kubernetes(deployed)) {
      assert.deepEqual(of.selector.matchLabels ?? of.selector, metadata.labels, kind)
    }
    const ports = container.ports.map(({ name, containerPort }) => ({ name, port: containerPort }))
    assert.deepEqual(kubernetes(deployed).find(({ kind }) => kind === 'Service')?.spec.ports, ports)
    const { listenPort, httpPort } = options
    const fast = program === 'mqbroker' ? [listenPort - 2] : []
    assert.deepEqual(
      ports.map(({ port }) => port),
      [listenPort, ...fast, httpPort],
    )
    const exposed = allOf(stage, 'EXPOSE').flatMap(text => text.split(' ').map(Number))
    assert.deepEqual(new Set(ports.map(({ port }) => port)), new Set(exposed))
  })

  test(`the files of ${program} are on a volume that outlives its container`, () => {
    const { container, volumes, environment } = pod(deployed)
    const home = environment['HOME'] ?? ''
    assert.deepEqual(allOf(stage, 'VOLUME'), [home])
    assert.deepEqual(
      container.volumeMounts.filter(({ mountPath }) => mountPath === home).map(({ name }) => name),
      volumes,
    )
    const { services } = readYaml('compose.yaml') as Compose
    for (const [name, { build, volumes: mounted }] of Object.entries(services)) {
      if (build?.target === stage) assert.deepEqual(mounted, [`${name}:${home}`])
    }
  })
}

test('each broker of Kubernetes has the name of its pod and registers the address of its pod', () => {
  const { container, environment } = pod(broker)
  const fields = Object.fromEntries(container.env.map(({ name, valueFrom }) => [name, valueFrom?.fieldRef.fieldPath]))
  assert.equal(fields['GANTRY_BROKER_NAME'], 'metadata.name')
  assert.equal(fields['GANTRY_BROKER_IP1'], 'status.podIP')
  const { brokerName, brokerIP1, storePathRootDir, namesrvAddr } = optionsOf(broker, environment) as BrokerOptions
  assert.deepEqual([brokerName, brokerIP1, storePathRootDir], ['broker-1', '10.1.2.3', '/var/lib/gantry/store'])
  const { name = '' } = kubernetes(nameServer).find(({ kind }) => kind === 'Service')?.metadata ?? {}
  assert.equal(namesrvAddr, [0, 1].map(pod => `namesrv-${pod}.${name}:9876`).join(';'))
})

test('the images have the Node of this repository, and another user than root', () => {
  const [major] = (manifest.devDependencies['node'] ?? '').split('.')
  const names = stages().map(({ name }) => name)
  for (const { from } of stages()) assert.ok(names.includes(from) || from === `node:${major}-slim`, from)
  for (const { stage } of programs) assert.deepEqual(allOf(stage, 'USER'), ['node'])
  // Without --target, Docker builds the last one.
  assert.equal(names.at(-1), nameServer.stage)
})

/** With shutdown in order; the program ends itself 5 s after that. */
function secondsToStop({ shutdownWaitTimeSeconds, shutdownDrainMillis }: Options): number {
  return shutdownWaitTimeSeconds + shutdownDrainMillis / 1000 + 5
}

const systemd = spawnSync('systemd-analyze', ['--version'])

for (const deployed of programs) {
  test(`systemd finds nothing wrong in the unit of ${deployed.program}`, {
    skip: systemd.status !== 0 && 'this machine has no systemd-analyze',
  }, () => {
    const { stderr } = spawnSync('systemd-analyze', ['verify', join('deploy', deployed.unit)], { encoding: 'utf8' })
    // Its other lines are about units of this machine.
    const about = stderr.split('\n').filter(line => line.includes(`${deployed.program}.service`))
    assert.deepEqual(about, [])
  })
}

test('compose.yaml uses files, stages, volumes, configs and services that exist', () => {
  const { services, volumes, configs } = readYaml('compose.yaml') as Compose
  for (const [name, service] of Object.entries(services)) {
    for (const each of service.configs ?? []) assert.ok(each.source in configs, `${name}: ${each.source}`)
    for (const each of Object.keys(service.depends_on ?? {})) assert.ok(each in services, `${name}: ${each}`)
    for (const [source = ''] of (service.volumes ?? []).map(each => each.split(':'))) {
      assert.ok(source.startsWith('.') ? existsSync(join('deploy', source)) : source in volumes, `${name}: ${source}`)
    }
    const { build, environment = {} } = service
    if (build) {
      assert.ok(existsSync(join('deploy', build.context, build.dockerfile)), name)
      assert.ok(
        stages().some(stage => stage.name === build.target),
        name,
      )
    }
    const servers = (environment['NAMESRV_ADDR'] ?? environment['GANTRY_NAMESRV_ADDR'])?.split(';') ?? []
    assert.equal(servers.length > 0, name.startsWith('broker'), name)
    for (const address of servers) assert.ok((address.split(':')[0] ?? '') in services, `${name}: ${address}`)
  }
})

test('clients on the machine of compose.yaml reach its brokers by the addresses that they register', () => {
  const { services } = readYaml('compose.yaml') as Compose
  const { build, environment = {}, ports = [] } = services['broker-b'] ?? {}
  assert.equal(build?.target, broker.stage)
  const options = optionsOf(broker, { ...imageEnvironment(broker), ...environment }) as BrokerOptions
  assert.equal(options.brokerIP1, '127.0.0.1')
  const published = ports.map(each => each.split(':').map(Number))
  for (const port of [options.listenPort, options.listenPort - 2])
    assert.ok(
      published.some(([outside, inside]) => outside === port && inside === port),
      `${port}`,
    )
  const all = Object.values(services).flatMap(({ ports: each = [] }) => each.map(text => text.split(':')[0]))
  assert.equal(new Set(all).size, all.length, 'each port is published once')
})

// -- Probes ------------------------------------------------------------------------------------------------------------

interface Running {
  readonly address: { readonly port: number }
  readonly httpAddress: { readonly port: number } | undefined
  close(): Promise<void>
}

/** A server with the options of a file, under enforced TLS and with free ports. */
async function enforcing(t: TestContext, deployed: Deployed, environment: Texts): Promise<Running> {
  const given = optionsOf(deployed, environment)
  const free = { bindAddress: '127.0.0.1', listenPort: 0, httpPort: 0, pidFile: null }
  const tls = { tlsServerMode: 'enforcing', tlsTestModeEnable: true } as const
  const server = await startWith(deployed, { ...given, ...free, ...tls })
  t.after(() => server.close())
  return server
}

function startWith({ program }: Deployed, options: Options): Promise<Running> {
  if (program === 'mqbroker') {
    const files = { storePathRootDir: null, storePathCommitLog: null, brokerConfigPath: null, namesrvAddr: null }
    return Broker.start({ ...(options as BrokerOptions), ...files, fastListenPort: 0 })
  }
  const files = { kvConfigPath: null, configStorePath: null, needWaitForService: false }
  return NameServer.start({ ...(options as NameServerOptions), ...files })
}

/** The status of a page, asked for under a host name. */
async function statusOf(port: number | undefined, path: string, host: string): Promise<number | undefined> {
  const request = get({ host: '127.0.0.1', port, path, headers: { host } })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode
}

for (const deployed of programs) {
  test(`the probes of ${deployed.program} work while its remoting port enforces TLS`, async t => {
    const { container, environment } = pod(deployed)
    const server = await enforcing(t, deployed, environment)
    const [check = ''] = allOf(deployed.stage, 'HEALTHCHECK')
    const inImage = /http:\/\/127\.0\.0\.1:(\d+)(\/\w+)/.exec(check)
    assert.equal(inImage?.[1], imageEnvironment(deployed)['GANTRY_HTTP_PORT'])
    const { startupProbe = container.livenessProbe, livenessProbe, readinessProbe } = container
    const probes = [startupProbe, livenessProbe, readinessProbe].map(({ httpGet }) => httpGet)
    for (const { port } of probes) assert.equal(port, 'http')
    for (const path of [...probes.map(each => each.path), inImage?.[2] ?? '']) {
      assert.equal(await statusOf(server.httpAddress?.port, path, '10.1.2.3:8080'), 200, path)
    }
    const plain = connect(server.address.port, '127.0.0.1')
    plain.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n')
    const [chunks] = await Promise.all([plain.toArray(), once(plain, 'close')])
    assert.deepEqual(chunks, [])
  })
}

interface PrometheusConfig {
  readonly rule_files: readonly string[]
  readonly scrape_configs: readonly {
    readonly job_name: string
    readonly static_configs: readonly { readonly targets: readonly string[] }[]
  }[]
}

test('Prometheus may ask the servers of compose.yaml under the names of its targets', async t => {
  const { rule_files, scrape_configs } = readYaml('prometheus/prometheus.yaml') as PrometheusConfig
  for (const file of rule_files) assert.ok(existsSync(join('deploy/prometheus', file)))
  const { services } = readYaml('compose.yaml') as Compose
  const targets = scrape_configs.flatMap(({ job_name, static_configs }) =>
    static_configs.flatMap(each => each.targets.map(target => ({ job: job_name, target }))),
  )
  const asked = new Set(targets.map(({ target }) => target.split(':')[0]))
  const served = Object.entries(services).filter(([, { build }]) => build !== undefined)
  assert.deepEqual(asked, new Set(served.map(([name]) => name)))
  for (const { job, target } of targets) {
    const [name = '', port] = target.split(':')
    const service = services[name]
    const deployed = programs.find(({ stage }) => `gantry-${stage}` === job)
    assert.ok(deployed, job)
    assert.equal(service?.build?.target, deployed.stage, target)
    const environment = { ...imageEnvironment(deployed), ...service?.environment }
    assert.equal(port, environment['GANTRY_HTTP_PORT'])
    const server = await enforcing(t, deployed, environment)
    assert.equal(await statusOf(server.httpAddress?.port, '/livez', target), 200, target)
  }
})

// -- Rules and the board -----------------------------------------------------------------------------------------------

/** Names of series with which Prometheus itself and the metrics library describe a process. */
const OTHER_METRICS = ['up', 'process_cpu_seconds_total', 'process_resident_memory_bytes']

async function metricNames(t: TestContext): Promise<Set<string>> {
  const server = await NameServer.start({ host: '127.0.0.1', port: 0 })
  t.after(() => server.close())
  const names = new Set(OTHER_METRICS)
  for (const { name, type } of await server.metrics.families()) {
    const endings = type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
    for (const ending of endings) names.add(name + ending)
  }
  return names
}

const metricsIn = (expression: string) => expression.match(/\b(?:(?:rocketmq|process|nodejs)_\w+|up\b(?=\{))/g) ?? []

interface Rules {
  readonly groups: readonly { readonly rules: readonly Alert[] }[]
}

interface Alert {
  readonly alert: string
  readonly expr: string
  readonly labels: { readonly severity: string }
  readonly annotations: { readonly summary: string; readonly description: string }
}

test('every alert asks for metrics that the name server has, and says what to do', async t => {
  const known = await metricNames(t)
  const alerts = (readYaml('prometheus/rules.yaml') as Rules).groups.flatMap(({ rules }) => rules)
  assert.ok(alerts.length > 5)
  for (const { alert, expr, labels, annotations } of alerts) {
    const metrics = metricsIn(expr)
    assert.ok(metrics.length > 0, alert)
    for (const name of metrics) assert.ok(known.has(name), `${alert}: ${name}`)
    assert.match(labels.severity, /^(?:critical|warning)$/, alert)
    assert.ok(annotations.summary.endsWith('.') && annotations.description.endsWith('.'), alert)
  }
})

interface Board {
  readonly uid: string
  readonly panels: readonly {
    readonly id: number
    readonly title: string
    readonly gridPos: Area
    readonly targets: readonly { readonly expr: string }[]
  }[]
}

interface Area {
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}

const overlap = (a: Area, b: Area) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h

test('the Grafana board shows every metric of the name server once at least, in panels that do not overlap', async t => {
  const known = await metricNames(t)
  const { panels } = JSON.parse(readDeployed('grafana/name-server.json')) as Board
  const shown = new Set(panels.flatMap(({ targets }) => targets.flatMap(({ expr }) => metricsIn(expr))))
  for (const name of shown) assert.ok(known.has(name), name)
  const families = new Set([...shown].map(name => name.replace(/_(?:bucket|sum|count)$/, '')))
  const hidden = [...known].map(name => name.replace(/_(?:bucket|sum|count)$/, '')).filter(name => !families.has(name))
  assert.deepEqual(new Set(hidden), new Set(NOT_ON_THE_BOARD))
  assert.equal(new Set(panels.map(({ id }) => id)).size, panels.length)
  for (const [index, { title, gridPos }] of panels.entries()) {
    assert.ok(gridPos.x + gridPos.w <= 24, title)
    for (const other of panels.slice(index + 1)) assert.ok(!overlap(gridPos, other.gridPos), `${title}, ${other.title}`)
  }
})

/** Used by a variable of the board, by an alert, or only about the metrics themselves. */
const NOT_ON_THE_BOARD = ['up', 'rocketmq_nameserver_up', 'rocketmq_nameserver_series_omitted']

test('every file of deploy is described in its README', () => {
  const files = globSync('deploy/**/*', { withFileTypes: true }).filter(entry => entry.isFile())
  const text = readDeployed('README.md')
  const names = files.map(({ parentPath, name }) => join(parentPath, name).slice('deploy/'.length))
  assert.deepEqual(
    names.filter(name => name !== 'README.md' && !text.includes(`\`${name}\``)),
    [],
  )
})

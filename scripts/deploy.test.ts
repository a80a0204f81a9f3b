import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { get, type IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { findOptions } from '@gantrymq/daemon'
import { NameServer, type NameServerOptions, nameServerOptions } from '@gantrymq/namesrv'
import {
  allOf,
  type Compose,
  imageEnvironment,
  kubernetes,
  pod,
  readDeployed,
  readYaml,
  type Texts,
  unit,
  unitEnvironment,
} from './deploy-files.ts'

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Texts; devDependencies: Texts }

/** The environment of the name server in each file. */
function environments(): [file: string, environment: Texts][] {
  const { services } = readYaml('compose.yaml') as Compose
  const composed = Object.entries(services).filter(([, { build }]) => build !== undefined)
  return [
    ['Dockerfile', imageEnvironment()],
    ['kubernetes/name-server.yaml', pod().environment],
    ['systemd/mqnamesrv.service', unitEnvironment()],
    ...composed.map(([name, { environment = {} }]): [string, Texts] => [
      `compose.yaml, ${name}`,
      { ...imageEnvironment(), ...environment },
    ]),
  ]
}

function optionsOf(environment: Texts): NameServerOptions {
  const { options, problems } = findOptions(nameServerOptions, { environment, home: environment['HOME'] ?? '' })
  assert.deepEqual(problems, [])
  return options
}

for (const [file, environment] of environments()) {
  test(`the GANTRY variables of deploy/${file} are options with valid values`, () => {
    const known = nameServerOptions.names.map(name => nameServerOptions.variable(name))
    const variables = Object.keys(environment).filter(name => name.startsWith('GANTRY_'))
    assert.ok(variables.length > 0)
    assert.deepEqual(
      variables.filter(name => !known.includes(name)),
      [],
    )
    optionsOf(environment)
  })
}

// -- The program -------------------------------------------------------------------------------------------------------

const flagsIn = (command: string) => command.match(/--[\w-]+=\d+/g)
const nodeFlags = flagsIn(manifest.scripts['mqnamesrv'] ?? '')

test('the Dockerfile runs the program as npm run mqnamesrv does', () => {
  const [entrypoint = ''] = allOf('ENTRYPOINT')
  assert.deepEqual(flagsIn(entrypoint), nodeFlags)
  assert.match(entrypoint, /\/opt\/gantry\/node_modules\/gantrymq\/bin\/mqnamesrv\.js/)
})

test('the image has the Node of this repository, and another user than root', () => {
  const [major] = (manifest.devDependencies['node'] ?? '').split('.')
  for (const image of allOf('FROM')) assert.match(image, new RegExp(`^node:${major}-slim`))
  assert.deepEqual(allOf('USER'), ['node'])
})

test('the systemd unit runs the program as npm run mqnamesrv does, not as root, and lets it stop in order', () => {
  const [command = ''] = unit().get('ExecStart') ?? []
  assert.deepEqual(flagsIn(command), nodeFlags)
  assert.match(command, /gantrymq\/bin\/mqnamesrv\.js -c \/etc\/gantry\/namesrv\.properties$/)
  assert.deepEqual(unit().get('User'), ['rocketmq'])
  assert.ok(Number(unit().get('TimeoutStopSec')?.[0]) >= secondsToStop(nameServerOptions.resolve()))
  assert.ok(Number(unit().get('LimitNOFILE')?.[0]) > nameServerOptions.resolve().maxConnections)
})

/** With shutdown in order; the program ends itself 5 s after that. */
function secondsToStop({ shutdownWaitTimeSeconds, shutdownDrainMillis }: NameServerOptions): number {
  return shutdownWaitTimeSeconds + shutdownDrainMillis / 1000 + 5
}

test('Kubernetes lets the program stop in order, and its selectors and ports fit together', () => {
  const { spec, metadata, container, environment } = pod()
  assert.ok(spec.terminationGracePeriodSeconds >= secondsToStop(optionsOf(environment)))
  for (const { kind, spec: of } of kubernetes()) {
    assert.deepEqual(of.selector.matchLabels ?? of.selector, metadata.labels, kind)
  }
  const ports = container.ports.map(({ name, containerPort }) => ({ name, port: containerPort }))
  assert.deepEqual(kubernetes().find(({ kind }) => kind === 'Service')?.spec.ports, ports)
  const { listenPort, httpPort } = optionsOf(environment)
  assert.deepEqual(
    ports.map(({ port }) => port),
    [listenPort, httpPort],
  )
})

test('compose.yaml uses files, volumes, configs and services that exist', () => {
  const { services, volumes, configs } = readYaml('compose.yaml') as Compose
  for (const [name, service] of Object.entries(services)) {
    for (const each of service.configs ?? []) assert.ok(each.source in configs, `${name}: ${each.source}`)
    for (const each of Object.keys(service.depends_on ?? {})) assert.ok(each in services, `${name}: ${each}`)
    for (const [source = ''] of (service.volumes ?? []).map(each => each.split(':'))) {
      assert.ok(source.startsWith('.') ? existsSync(join('deploy', source)) : source in volumes, `${name}: ${source}`)
    }
    if (service.build) assert.ok(existsSync(join('deploy', service.build.context, service.build.dockerfile)), name)
  }
  const servers = services['broker']?.environment?.['NAMESRV_ADDR']?.split(';') ?? []
  assert.deepEqual(
    servers.map(address => address.split(':')[0] ?? '').filter(name => !(name in services)),
    [],
  )
})

// -- Probes ------------------------------------------------------------------------------------------------------------

/** A name server with the options of a file, under enforced TLS and with free ports. */
async function enforcing(t: TestContext, environment: Texts): Promise<NameServer> {
  const server = await NameServer.start({
    ...optionsOf(environment),
    bindAddress: '127.0.0.1',
    listenPort: 0,
    httpPort: 0,
    kvConfigPath: null,
    configStorePath: null,
    pidFile: null,
    needWaitForService: false,
    tlsServerMode: 'enforcing',
  })
  t.after(() => server.close())
  return server
}

/** The status of a page, asked for under a host name. */
async function statusOf(port: number | undefined, path: string, host: string): Promise<number | undefined> {
  const request = get({ host: '127.0.0.1', port, path, headers: { host } })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode
}

test('the probes of Kubernetes and of the image work while the remoting port enforces TLS', async t => {
  const { container, environment } = pod()
  const server = await enforcing(t, environment)
  const [check = ''] = allOf('HEALTHCHECK')
  const inImage = /http:\/\/127\.0\.0\.1:(\d+)(\/\w+)/.exec(check)
  assert.equal(inImage?.[1], imageEnvironment()['GANTRY_HTTP_PORT'])
  const probes = [container.livenessProbe, container.readinessProbe].map(({ httpGet }) => httpGet)
  assert.deepEqual(
    probes.map(({ port }) => port),
    ['http', 'http'],
  )
  for (const path of [...probes.map(each => each.path), inImage?.[2] ?? '']) {
    assert.equal(await statusOf(server.httpAddress?.port, path, '10.1.2.3:8080'), 200, path)
  }
  const plain = connect(server.address.port, '127.0.0.1')
  plain.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n')
  const [chunks] = await Promise.all([plain.toArray(), once(plain, 'close')])
  assert.deepEqual(chunks, [])
})

interface PrometheusConfig {
  readonly rule_files: readonly string[]
  readonly scrape_configs: readonly { readonly static_configs: readonly { readonly targets: readonly string[] }[] }[]
}

test('Prometheus may ask the name servers of compose.yaml under the names of its targets', async t => {
  const { rule_files, scrape_configs } = readYaml('prometheus/prometheus.yaml') as PrometheusConfig
  for (const file of rule_files) assert.ok(existsSync(join('deploy/prometheus', file)))
  const { services } = readYaml('compose.yaml') as Compose
  const targets = scrape_configs.flatMap(each => each.static_configs.flatMap(({ targets }) => targets))
  assert.ok(targets.length > 1)
  for (const target of targets) {
    const service = services[target.split(':')[0] ?? '']
    assert.ok(service, target)
    const environment = { ...imageEnvironment(), ...service.environment }
    assert.equal(target.split(':')[1], environment['GANTRY_HTTP_PORT'])
    const server = await enforcing(t, environment)
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

// What the page shows: each view reads JSON pages and returns elements.
import {
  address,
  ApiError,
  type Broker,
  type Brokers,
  type Clients,
  type Clusters,
  type Group,
  type Groups,
  type Index,
  type Part,
  type Queue,
  read,
  type Readiness,
  type Route,
  type TopicOfBroker,
  type TopicRow,
  type Topics,
  type Why,
} from './api.ts'
import { type Column, type Content, count, duration, element, hashOf, link, name, table, visible } from './elements.ts'

/** Where the page is: the part of its address after `#/`. */
export interface Place {
  /** `['topics', 'Orders']`; empty for the overview. */
  readonly segments: readonly string[]
  readonly query: URLSearchParams
}

/** Whether the server has a JSON page: `hasPage('groups')`. */
export type HasPage = (path: string) => boolean

export interface View {
  readonly title: string
  readonly content: readonly Content[]
}

/** The view of a place. @throws ApiError */
export function show(place: Place, index: Index, hasPage: HasPage): Promise<View> {
  const [list, item] = place.segments
  if (list === undefined) return overview(index, hasPage)
  if (list === 'topics' && hasPage('topics')) {
    if (item === undefined) return topics(place, hasPage)
    return hasPage('topics/{topic}/why') ? topicOfNameServer(item) : topicOfBroker(item)
  }
  if (list === 'groups' && hasPage('groups')) return item === undefined ? groups(place) : group(item)
  if (list === 'clients' && hasPage('clients')) return clients(place)
  throw new ApiError('NOT_FOUND', 'this page has no such view')
}

async function overview(index: Index, hasPage: HasPage): Promise<View> {
  const content: Content[] = [await readiness(index)]
  if (hasPage('clusters')) content.push(await clusters())
  if (hasPage('brokers')) content.push(await brokers())
  if (index.otherServers.length > 0) content.push(otherServers(index))
  return { title: `RocketMQ ${index.role}`, content }
}

async function readiness({ version }: Index): Promise<Content> {
  const { ready, message, uptimeMs } = await read<Readiness>('readyz')
  const state = ready
    ? element('span', { class: 'good' }, 'ready')
    : element('span', { class: 'bad' }, `not ready: ${message ?? 'no reason was given'}`)
  return element('p', {}, `Gantry ${version}, up for ${duration(uptimeMs)}, `, state)
}

async function clusters(): Promise<Content> {
  const part = await read<Clusters>(address(['clusters'], { limit: '1000' }))
  const rows = table(
    part.clusters,
    [
      { title: 'Cluster', cell: row => name(row.cluster) },
      { title: 'Broker names', cell: row => row.brokerNames.flatMap((each, i) => [i > 0 ? ', ' : '', name(each)]) },
    ],
    'No broker is registered. Each broker needs the address of this server as its namesrvAddr.',
  )
  return [element('h2', {}, 'Clusters'), rows]
}

async function brokers(): Promise<Content> {
  const part = await read<Brokers>(address(['brokers'], { limit: '1000' }))
  const rows = table(
    part.brokers,
    [
      { title: 'Broker', cell: row => name(row.brokerName) },
      { title: 'Id', cell: row => (row.brokerId === 0 ? '0, master' : row.brokerId) },
      { title: 'Cluster', cell: row => name(row.cluster) },
      { title: 'Address', cell: row => name(row.brokerAddr) },
      { title: 'Topics', cell: row => count(row.topicCount), isNumber: true },
      { title: 'Heard from', cell: age, isNumber: true },
    ],
    'None.',
  )
  return [element('h2', {}, `Brokers (${count(part.total)})`), rows, cut(part, part.brokers)]
}

/** A broker that has been silent for half of its time is about to leave. */
function age({ lastUpdateAgeMs, timeoutMs }: Broker): Content {
  const text = `${duration(lastUpdateAgeMs)} ago`
  if (lastUpdateAgeMs <= timeoutMs / 2) return text
  return element('span', { class: 'bad', title: `it is removed after ${duration(timeoutMs)}` }, text)
}

function cut({ total, next }: Part, shown: readonly unknown[]): Content {
  if (next === undefined) return undefined
  return element('p', { class: 'quiet' }, `The first ${count(shown.length)} of ${count(total)}.`)
}

function otherServers({ otherServers }: Index): Content {
  const links = otherServers.map(({ name: title, port }) => {
    const { protocol, hostname } = location
    return element('li', {}, element('a', { href: `${protocol}//${hostname}:${port}/` }, name(title)))
  })
  return [element('h2', {}, 'In the same process'), element('ul', {}, links)]
}

async function topics(place: Place, hasPage: HasPage): Promise<View> {
  const part = await read<Topics>(address(['topics'], listQuery(place)))
  const prefix = place.query.get('prefix') ?? ''
  const isKnown = prefix === '' || part.topics.some(({ topic }) => topic === prefix)
  const canExplain = hasPage('topics/{topic}/why')
  const why =
    isKnown || !canExplain
      ? undefined
      : element('p', {}, 'No topic is called ', name(prefix), '. ', link(['topics', prefix], 'Why?'))
  const columns = canExplain ? columnsOfNameServer : columnsOfBroker
  const content = [why, table(part.topics, columns, 'None.'), more(place, part)]
  return { title: titleOf('Topics', place, part), content }
}

const topicColumn: Column<TopicRow> = { title: 'Topic', cell: ({ topic }) => link(['topics', topic], name(topic)) }

const columnsOfNameServer: readonly Column<TopicRow>[] = [
  topicColumn,
  { title: 'Brokers', cell: ({ brokers = 0 }) => count(brokers), isNumber: true },
]

const columnsOfBroker: readonly Column<TopicRow>[] = [
  topicColumn,
  { title: 'Permission', cell: ({ perm = 0 }) => permission(perm) },
  { title: 'Read queues', cell: ({ readQueueNums = 0 }) => readQueueNums, isNumber: true },
  { title: 'Write queues', cell: ({ writeQueueNums = 0 }) => writeQueueNums, isNumber: true },
  { title: 'Messages', cell: ({ messages = 0 }) => count(messages), isNumber: true },
  { title: 'Stored per second', cell: ({ putPerSecond = 0 }) => rate(putPerSecond), isNumber: true },
]

/** The route, if there is one, and in any case what keeps clients from using it. */
async function topicOfNameServer(topic: string): Promise<View> {
  const why = await read<Why>(address(['topics', topic, 'why']))
  const content = [...explanation(why), ...(await routeOf(topic))]
  return { title: `Topic ${topic}`, content }
}

function explanation({ code, message, hints }: Why): Content[] {
  const verdict = element(
    'p',
    {},
    element('code', { class: code === 'FOUND' ? 'good' : 'bad' }, code),
    ' ',
    name(message),
  )
  const list = hints.map(hint => element('li', {}, visible(hint)))
  return [verdict, element('h2', {}, 'What to look at'), element('ul', {}, list)]
}

async function routeOf(topic: string): Promise<Content[]> {
  const { topics } = await read<Topics>(address(['topics'], { prefix: topic, limit: '1' }))
  if (topics[0]?.topic !== topic) return []
  const found = await read<Route>(address(['topics', topic]))
  const { queueDatas, brokerDatas, orderTopicConf } = found.route
  const queues = table(
    queueDatas,
    [
      { title: 'Broker', cell: row => name(row.brokerName) },
      { title: 'Permission', cell: row => permission(row.perm) },
      { title: 'Read queues', cell: row => row.readQueueNums, isNumber: true },
      { title: 'Write queues', cell: row => row.writeQueueNums, isNumber: true },
    ],
    'None.',
  )
  const members = brokerDatas.flatMap(({ brokerName, cluster, brokerAddrs }) =>
    Object.entries(brokerAddrs).map(([id, at]) => ({ brokerName, cluster, id, at })),
  )
  const addresses = table(
    members,
    [
      { title: 'Broker', cell: row => name(row.brokerName) },
      { title: 'Id', cell: row => (row.id === '0' ? '0, master' : row.id) },
      { title: 'Cluster', cell: row => name(row.cluster) },
      { title: 'Address', cell: row => name(row.at) },
    ],
    'None.',
  )
  const order =
    orderTopicConf === undefined ? undefined : element('p', {}, 'Order configuration: ', name(orderTopicConf))
  return [element('h2', {}, 'Route: queues'), queues, element('h2', {}, 'Route: brokers'), addresses, order]
}

async function topicOfBroker(topic: string): Promise<View> {
  const { config, putPerSecond, queues } = await read<TopicOfBroker>(address(['topics', topic]))
  const about = `${permission(config.perm)}; ${config.readQueueNums} read and ${config.writeQueueNums} write queues; ${rate(putPerSecond)} messages per second`
  const messages: Column<Queue> = {
    title: 'Messages',
    cell: ({ minOffset, maxOffset }) => count(maxOffset - minOffset),
    isNumber: true,
  }
  const content = [
    element('p', {}, about),
    table(queues, [...queueColumns, messages], 'It has no queue with messages.'),
  ]
  return { title: `Topic ${topic}`, content }
}

const queueColumns: readonly Column<Queue>[] = [
  { title: 'Queue', cell: ({ queueId }) => queueId, isNumber: true },
  { title: 'First offset', cell: ({ minOffset }) => count(minOffset), isNumber: true },
  { title: 'Next offset', cell: ({ maxOffset }) => count(maxOffset), isNumber: true },
]

async function groups(place: Place): Promise<View> {
  const part = await read<Groups>(address(['groups'], listQuery(place)))
  const rows = table(
    part.groups,
    [
      { title: 'Group', cell: row => link(['groups', row.group], name(row.group)) },
      { title: 'Clients', cell: row => count(row.clients), isNumber: true },
      { title: 'Mode', cell: row => row.messageModel?.toLowerCase() ?? '' },
      { title: 'Backlog', cell: row => count(row.backlog), isNumber: true },
    ],
    'None.',
  )
  return { title: titleOf('Consumer groups', place, part), content: [rows, more(place, part)] }
}

async function group(groupName: string): Promise<View> {
  const found = await read<Group>(address(['groups', groupName]))
  const about = `${count(found.clients)} clients, backlog ${count(found.backlog)}`
  const columns: readonly Column<Queue>[] = [
    { title: 'Topic', cell: ({ topic = '' }) => link(['topics', topic], name(topic)) },
    ...queueColumns,
    {
      title: 'Committed',
      cell: ({ committed }) => (committed === undefined ? 'none' : count(committed)),
      isNumber: true,
    },
    { title: 'Backlog', cell: ({ backlog = 0 }) => count(backlog), isNumber: true },
  ]
  const content = [element('p', {}, about), table(found.queues, columns, 'It has no offsets.')]
  return { title: `Group ${groupName}`, content }
}

async function clients(place: Place): Promise<View> {
  const part = await read<Clients>(address(['clients'], listQuery(place)))
  const rows = table(
    part.clients,
    [
      { title: 'Group', cell: row => name(row.group) },
      { title: 'Role', cell: row => row.role },
      { title: 'Client id', cell: row => name(row.clientId) },
      { title: 'Address', cell: row => name(row.address) },
      { title: 'Language', cell: row => name(row.language) },
      { title: 'Version', cell: row => name(row.version) },
    ],
    'None is connected.',
  )
  return { title: titleOf('Clients', place, part), content: [rows, more(place, part)] }
}

function listQuery({ query }: Place): Record<string, string> {
  return { prefix: query.get('prefix') ?? '', after: query.get('after') ?? '' }
}

function titleOf(what: string, { query }: Place, { total }: Part): string {
  const prefix = query.get('prefix') ?? ''
  return `${what}${prefix === '' ? '' : ` that begin with ${prefix}`} (${count(total)})`
}

function more({ segments, query }: Place, { next }: Part): Content {
  if (next === undefined) return undefined
  const rest = new URLSearchParams({ prefix: query.get('prefix') ?? '', after: next })
  return element('p', {}, element('a', { href: `${hashOf(segments)}?${rest.toString()}` }, 'More'))
}

const READ = 4
const WRITE = 2

function permission(perm: number): string {
  const allowed = [perm & READ ? 'read' : '', perm & WRITE ? 'write' : ''].filter(word => word !== '')
  return `${perm} (${allowed.join(', ') || 'neither read nor write'})`
}

function rate(perSecond: number): string {
  return perSecond.toLocaleString('en', { maximumFractionDigits: 1 })
}

import type { Release } from '../launch/apache.ts'

/** What the commands work on: the same at both brokers. */
export interface Workplace {
  readonly broker: string
  /** A folder for files of the commands. */
  readonly folder: string
  /** A message that Java has sent. */
  readonly messageId: string
  readonly offsetMessageId: string
  readonly consumerId: string
}

export const TOPIC = 'Compared'
const SECOND_TOPIC = 'Second'
export const GROUP = 'compared-readers'
const OTHER_GROUP = 'other-readers'
export const PRODUCERS = 'compared-producers'

/** A command of mqadmin, and how its outputs at our broker and at Apache's are compared. */
export interface MqadminCase {
  readonly args: (at: Workplace) => readonly string[]
  /** What both outputs must contain, so that the case fails if the command fails at both. */
  readonly contains: RegExp
  /** The part of the output that must be equal. Default: all of it, without times, ids and addresses. */
  readonly compare?: (output: string) => unknown
  /** Our broker does not serve it: what mqadmin prints instead. The outputs are not compared. */
  readonly refusal?: RegExp
  /** Only this mqadmin has it, or this option. */
  readonly only?: Release
}

/** Properties that brokers add or remove, each line of them others. */
const OF_BROKERS = ['WAIT', 'MSG_REGION', 'TRACE_ON']

/** The properties of a message but for those of brokers, sorted. */
function ownProperties(list: string): string {
  const all = list.split(', ').filter(text => !OF_BROKERS.includes(text.split('=')[0] ?? ''))
  return all.toSorted().join(', ')
}

/** The output without what differs from run to run, its lines sorted: Java's hash tables have no order. */
export function settled(output: string): readonly string[] {
  const text = output
    .replaceAll(/^\tat .*$/gm, '')
    .replaceAll(/^\t?\.\.\. \d+ more$/gm, '')
    .replaceAll(/[0-9A-F]{32,}/g, 'ID')
    .replaceAll(/\d+\.\d+\.\d+\.\d+@[^\s"\]]+/g, 'CLIENT')
    .replaceAll(/\d+\.\d+\.\d+\.\d+:\d+/g, 'HOST')
    .replaceAll(/\d{4}-\d\d-\d\d[ #T]\d\d:\d\d:\d\d[.,:]?\d*/g, 'TIME')
    .replaceAll(/\/tmp\/[^\s"]+/g, 'PATH')
    .replaceAll(/\b\d{13}\b/g, 'MS')
    .replaceAll(/\b\d+\.\d+\b/g, 'RATE')
    .replaceAll(/(roperties(?:: +|=)\{)([^}]*)/g, (_, start: string, list: string) => start + ownProperties(list))
    // Messages have properties of the broker, and so other sizes.
    .replaceAll(/(?:storeSize|physicSize|commitLogOffset|physicOffset)=\d+/g, '')
    .replaceAll(/(CommitLog Offset:|rt=)\s*\d+/g, '$1')
    .replaceAll(/[ \t]+/g, ' ')
  const lines = text.split('\n').map(line => line.trim())
  return lines.filter(line => line !== '').toSorted()
}

/** Topics that brokers make for themselves, some of them at their first use. */
const OWN_TOPICS = /rmq_sys_|RMQ_SYS_ROCKSDB|RMQ_SYS_TRANS_OP/

/** Each name at the beginning of a line. */
const names = (output: string) => [...new Set(settled(output).map(line => line.split(/[\s:]/)[0]))]
const without = (pattern: RegExp) => (output: string) => settled(output).filter(line => !pattern.test(line))
const columns = (from: number, to: number) => (output: string) =>
  settled(output).map(line => line.split(' ').slice(from, to))

const of = (...args: string[]) => () => args // biome-ignore format: one thought
const at = (name: string, ...more: string[]) => ({ broker }: Workplace) => [name, '-b', broker, ...more] // biome-ignore format: one thought

/** Before there are messages and clients. */
export const preparing: readonly MqadminCase[] = [
  { args: at('updateTopic', '-t', TOPIC, '-r', '2', '-w', '2'), contains: /create topic to \S+ success/ },
  {
    args: of('updateTopic', '-c', 'DefaultCluster', '-t', SECOND_TOPIC, '-r', '1', '-w', '1', '-o', 'true'),
    contains: /set cluster orderConf\. isOrder=true, orderConf=\[a:1\]/,
  },
  { args: at('updateTopic', '-t', '../..'), contains: /illegal characters/, compare: output => /CODE: \d+/.exec(output)?.[0] === undefined }, // biome-ignore format: one thought
  { args: at('updateTopic', '-t', 'TBW102'), contains: /conflict with system topic/, compare: () => true },
  { args: at('updateTopicPerm', '-t', SECOND_TOPIC, '-p', '4'), contains: /update topic perm from 6 to 4/ },
  { args: of('topicRoute', '-t', TOPIC), contains: /"perm":6/, compare: without(/enableActingMaster|"cluster"/) },
  { args: of('topicClusterList', '-t', TOPIC), contains: /DefaultCluster/ },
  { args: at('updateSubGroup', '-g', GROUP, '-r', '3'), contains: /create subscription group to \S+ success/, compare: names }, // biome-ignore format: one thought
  { args: of('updateSubGroup', '-c', 'DefaultCluster', '-g', OTHER_GROUP), contains: /success/, compare: names },
  {
    args: of('sendMessage', '-t', TOPIC, '-p', 'hello', '-k', 'key-1', '-c', 'tag', '-b', 'a', '-i', '0'),
    contains: /SEND_OK/,
  },
]

/** With messages, a consumer and a producer. */
export const watching: readonly MqadminCase[] = [
  {
    args: of('topicList'),
    contains: new RegExp(`^${TOPIC}$`, 'm'),
    compare: without(OWN_TOPICS),
  },
  { args: of('topicList', '-c'), contains: new RegExp(`${TOPIC} +${GROUP}`), compare: without(OWN_TOPICS) }, // biome-ignore format: one thought
  { args: of('topicStatus', '-t', TOPIC), contains: /#Last Updated/ },
  { args: of('topicStatus', '-t', 'nowhere'), contains: /CODE: 17 / },
  // A client may hold the retry topic, which it learns of later, or not yet.
  { args: of('consumerProgress', '-g', GROUP), contains: /Diff Total: 0/, compare: without(/%RETRY%|TPS/) },
  { args: of('consumerProgress', '-g', GROUP, '-t', TOPIC), contains: /Diff Total: 0/, only: '5.5.0' },
  { args: of('consumerProgress'), contains: new RegExp(GROUP), compare: without(/%RETRY%/) },
  { args: at('brokerStatus'), contains: /^putTps/m, compare: output => names(output).filter(name => ['bootTimestamp', 'putTps', 'getTotalTps', 'msgPutTotalTodayNow', 'msgGetTotalTodayNow', 'commitLogMaxOffset', 'commitLogMinOffset', 'earliestMessageTimeStamp', 'dispatchBehindBytes', 'runtime'].includes(name ?? '')) }, // biome-ignore format: one thought
  { args: of('clusterList'), contains: /#Broker Name/, compare: columns(0, 4) },
  { args: of('clusterList', '-m'), contains: /#InTotalYest/, compare: columns(0, 2) },
  { args: ({ offsetMessageId }) => ['queryMsgById', '-i', offsetMessageId, '-t', TOPIC], contains: /OffsetID: .*\n.*Compared/, only: '5.5.0' }, // biome-ignore format: one thought
  { args: ({ offsetMessageId }) => ['queryMsgById', '-i', offsetMessageId], contains: /OffsetID: .*\n.*Compared/, only: '4.9.7' }, // biome-ignore format: one thought
  { args: ({ messageId }) => ['queryMsgByUniqueKey', '-t', TOPIC, '-i', messageId], contains: /trackType=CONSUMED/ },
  { args: of('queryMsgByKey', '-t', TOPIC, '-k', 'key-1'), contains: /#Message ID[^]*0\s+0/ },
  { args: of('queryMsgByKey', '-t', TOPIC, '-k', 'nothing'), contains: /CODE: 208 / },
  { args: of('queryMsgByOffset', '-t', TOPIC, '-b', 'a', '-i', '0', '-o', '0'), contains: /key-1/ },
  { args: of('printMsg', '-t', TOPIC), contains: /BODY: hello/ },
  { args: of('printMsgByQueue', '-t', TOPIC, '-a', 'a', '-i', '0', '-p', 'true'), contains: /KEYS=key-1/ },
  { args: of('sendMsgStatus', '-b', 'a', '-s', '64', '-c', '3'), contains: /sendStatus=SEND_OK/ },
  { args: at('brokerConsumeStats'), contains: /Diff Total: /, compare: without(/%RETRY%/) },
  { args: of('consumerConnection', '-g', GROUP), contains: /ConsumeType: CONSUME_PASSIVELY/ },
  { args: of('consumerConnection', '-g', 'unknown'), contains: /CODE: (?:17|206) / },
  { args: of('producerConnection', '-g', PRODUCERS, '-t', TOPIC), contains: /JAVA/ },
  { args: at('producer'), contains: new RegExp(PRODUCERS), compare: names },
  { args: of('consumerStatus', '-g', GROUP), contains: /Java Consumer|CLIENT|JAVA/i, compare: names },
  { args: ({ consumerId }) => ['consumerStatus', '-g', GROUP, '-i', consumerId, '-s'], contains: /#Consumer Offset#/, compare: output => names(output).filter(name => name?.startsWith('#')) }, // biome-ignore format: one thought
  { args: of('getConsumerConfig', '-g', GROUP), contains: /retryMaxTimes/, compare: names },
  { args: at('getBrokerConfig'), contains: /brokerName/, compare: output => /^brokerName += +a$/m.test(output) },
  { args: at('updateBrokerConfig', '-k', 'maxDelayTime', '-v', '40'), contains: /update broker config success/ },
  { args: at('queryCq', '-t', TOPIC, '-q', '0', '-i', '0', '-c', '2'), contains: /ConsumeQueueData/, compare: without(/eval=/) }, // biome-ignore format: one thought
  { args: at('queryCq', '-t', TOPIC, '-q', '0', '-i', '0', '-c', '2', '-g', GROUP), contains: /Subscription data/, compare: without(/eval=/) }, // biome-ignore format: one thought
  { args: at('queryCq', '-t', TOPIC, '-q', '7', '-i', '0', '-c', '2'), contains: /7@Compared is not exist!/ },
  { args: of('statsAll', '-t', TOPIC), contains: new RegExp(`${TOPIC} +${GROUP}`), compare: columns(0, 3) },
  { args: of('allocateMQ', '-t', TOPIC, '-i', '10.0.0.1,10.0.0.2'), contains: /10\.0\.0\.1/ },
  { args: of('consumeMessage', '-t', TOPIC, '-b', 'a', '-i', '0', '-o', '0', '-c', '2'), contains: /BODY: hello/ },
]

/** Sends, and moves offsets. */
export const changing: readonly MqadminCase[] = [
  { args: of('checkMsgSendRT', '-t', TOPIC, '-a', '3', '-s', '64'), contains: /true/, compare: names },
  { args: of('cloneGroupOffset', '-s', GROUP, '-d', OTHER_GROUP, '-t', TOPIC, '-o', 'true'), contains: /clone group offset success/ }, // biome-ignore format: one thought
  { args: of('resetOffsetByTime', '-g', GROUP, '-t', TOPIC, '-s', '0'), contains: /a +0 +0/ },
  { args: of('resetOffsetByTime', '-g', OTHER_GROUP, '-t', TOPIC, '-s', 'now'), contains: /a +1 +\d+/, compare: columns(0, 2) }, // biome-ignore format: one thought
  { args: of('skipAccumulatedMessage', '-g', GROUP, '-t', TOPIC), contains: /a +1 +\d+/, compare: columns(0, 2) },
  { args: of('wipeWritePerm', '-b', 'a'), contains: /OK, [1-9]/, compare: names },
  { args: of('addWritePerm', '-b', 'a'), contains: /OK, [1-9]/, compare: names },
  { args: of('updateOrderConf', '-t', TOPIC, '-m', 'put', '-v', 'a:2'), contains: /update orderConf success/ },
  { args: of('updateOrderConf', '-t', TOPIC, '-m', 'get'), contains: /orderConf=\[a:2\]/ },
  { args: of('updateOrderConf', '-t', TOPIC, '-m', 'delete'), contains: /delete orderConf success/ },
]

/** Cleans up, exports and deletes. */
export const cleaning: readonly MqadminCase[] = [
  { args: at('cleanExpiredCQ'), contains: /success/ },
  { args: of('cleanExpiredCQ', '-c', 'DefaultCluster'), contains: /success/ },
  { args: at('deleteExpiredCommitLog'), contains: /success/ },
  { args: at('cleanUnusedTopic'), contains: /success/ },
  { args: ({ folder }) => ['exportMetadata', '-c', 'DefaultCluster', '-f', folder], contains: /success/ },
  { args: ({ folder }) => ['exportConfigs', '-c', 'DefaultCluster', '-f', folder], contains: /success/ },
  { args: ({ folder }) => ['exportMetrics', '-c', 'DefaultCluster', '-f', folder], contains: /success/ },
  { args: ({ broker, folder }) => ['updateTopicList', '-b', broker, '-f', `${folder}/topics.json`], contains: /success/, only: '5.5.0' }, // biome-ignore format: one thought
  { args: ({ broker, folder }) => ['updateSubGroupList', '-b', broker, '-f', `${folder}/groups.json`], contains: /success/, only: '5.5.0' }, // biome-ignore format: one thought
  { args: at('deleteSubGroup', '-g', OTHER_GROUP, '-r', 'true'), contains: /delete subscription group \[other-readers\] from broker/ }, // biome-ignore format: one thought
  { args: of('deleteTopic', '-c', 'DefaultCluster', '-t', SECOND_TOPIC), contains: /delete topic \[Second\] from cluster/ }, // biome-ignore format: one thought
  { args: of('deleteTopic', '-c', 'DefaultCluster', '-t', 'TBW102'), contains: /conflict with system topic/, compare: () => true }, // biome-ignore format: one thought
]

const notSupported = (code: number, reason: string) =>
  new RegExp(`CODE: 3 +DESC: +request type ${code} not supported: ${reason}`)
const NO_ACCESS_CONTROL = 'this broker has no access control'
const NO_COLD_DATA = 'this broker does not limit the reading of cold data'

/** What only Apache's broker serves. */
export const unserved: readonly MqadminCase[] = [
  { args: at('haStatus'), contains: /#MasterAddr/, refusal: notSupported(907, 'this broker has no slaves'), only: '5.5.0' }, // biome-ignore format: one thought
  { args: at('getColdDataFlowCtrInfo'), contains: /cgColdReadThreshold/, refusal: notSupported(2003, NO_COLD_DATA), only: '5.5.0' }, // biome-ignore format: one thought
  { args: at('updateColdDataFlowCtrGroupConfig', '-g', GROUP, '-v', '100'), contains: /success/, refusal: notSupported(2001, NO_COLD_DATA), only: '5.5.0' }, // biome-ignore format: one thought
  { args: at('removeColdDataFlowCtrGroupConfig', '-g', GROUP), contains: /success/, refusal: notSupported(2002, NO_COLD_DATA), only: '5.5.0' }, // biome-ignore format: one thought
  { args: at('setCommitLogReadAheadMode', '-m', '1'), contains: /success/, refusal: notSupported(2004, NO_COLD_DATA), only: '5.5.0' }, // biome-ignore format: one thought
  { args: at('setConsumeMode', '-t', TOPIC, '-g', GROUP, '-m', 'PULL'), contains: /success/, refusal: /CODE: 1 +DESC: .*pop message is forbidden.*: this broker keeps its messages in a folder/, only: '5.5.0' }, // biome-ignore format: one thought
  { args: at('createUser', '-u', 'joe', '-p', 'secret'), contains: /CODE: 1 /, refusal: notSupported(3001, NO_ACCESS_CONTROL), only: '5.5.0' }, // biome-ignore format: one thought
  { args: at('listUser'), contains: /CODE: 1 /, refusal: notSupported(3005, NO_ACCESS_CONTROL), only: '5.5.0' },
  { args: at('listAcl'), contains: /CODE: 1 /, refusal: notSupported(3010, NO_ACCESS_CONTROL), only: '5.5.0' },
  { args: of('updateStaticTopic', '-b', 'a', '-t', 'static', '-qn', '2'), contains: /new mapping data/, refusal: notSupported(513, 'this broker has no static topics'), only: '5.5.0' }, // biome-ignore format: one thought
]

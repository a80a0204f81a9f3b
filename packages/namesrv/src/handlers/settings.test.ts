import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nameServerRequests } from '@gantrymq/protocol'
import { type Command, Router, settled, silent } from '@gantrymq/remoting'
import { ServerSettings } from '@gantrymq/daemon'
import { fakePeer } from '@gantrymq/remoting/testing'
import { nameServerOptions } from '../options.ts'
import { settingsHandlers } from './settings.ts'

const { UPDATE_NAMESRV_CONFIG, GET_NAMESRV_CONFIG } = nameServerRequests
const requests = { UPDATE_NAMESRV_CONFIG, GET_NAMESRV_CONFIG }

function request(code: number, body: string | null): Command {
  const rest = { language: 'JAVA', version: 513, opaque: 1, flag: 0, remark: null, extFields: null } as const
  return { ...rest, code, body: body === null ? null : Buffer.from(body), serializeType: 'JSON' }
}

function fresh() {
  const settings = new ServerSettings(nameServerOptions, nameServerOptions.resolve())
  const router = new Router(requests, settingsHandlers, { settings, log: silent })
  const ask = async (code: number, body: string | null = null) => {
    const reply = await settled(router.dispatch(request(code, body), fakePeer()))
    return {
      code: reply.code,
      remark: reply.remark ?? null,
      text: Buffer.from((reply.body ?? []) as Uint8Array).toString(),
    }
  }
  return { settings, ask }
}

test('a change shows in the next query', async () => {
  const { ask } = fresh()
  assert.deepEqual(await ask(318, 'orderMessageEnable=true\nserverWorkerThreads=16\n'), {
    code: 0,
    remark: null,
    text: '',
  })
  const { text } = await ask(319)
  assert.match(text, /^orderMessageEnable=true$/m)
  assert.match(text, /^serverWorkerThreads=16$/m)
})

test('an update without a body does nothing', async () => {
  assert.deepEqual(await fresh().ask(318), { code: 0, remark: null, text: '' })
})

test('a body that is not a valid properties file is refused as in Apache', async () => {
  const { ask } = fresh()
  assert.deepEqual(await ask(318, 'a=\\u12'), { code: 1, remark: 'string2Properties error', text: '' })
})

test('a key on the black list is refused, however it is written', async () => {
  const { ask } = fresh()
  assert.equal((await ask(318, '\\u006bvConfigPath=/x')).code, 16)
})

test('non-ASCII text may be sent as it is or escaped', async () => {
  const { settings, ask } = fresh()
  await ask(318, 'productEnvName=Zürich')
  assert.equal(settings.options.productEnvName, 'Zürich')
  await ask(318, 'productEnvName=Z\\u00fcrich 2')
  assert.equal(settings.options.productEnvName, 'Zürich 2')
  assert.match((await ask(319)).text, /^productEnvName=Z\\u00fcrich 2$/m)
})

test('a line break in a value cannot add a line to the file', async () => {
  const { ask } = fresh()
  const { code, remark } = await ask(318, 'productEnvName=x\\nkvConfigPath=/x/evil')
  assert.equal(code, 1)
  assert.match(String(remark), /^productEnvName=.*it must be text without control characters$/s)
})

test('the text of a query has every key of Apache 5.5.0', async () => {
  const { text } = await fresh().ask(319)
  const keys = new Set(text.split('\n').map(line => line.split('=')[0]))
  // Captured from Apache 5.5.0, without the keys that are unset here.
  const apache = `bindAddress clientRequestThreadPoolNums clientRequestThreadPoolQueueCapacity clusterTest configBlackList
    defaultThreadPoolNums defaultThreadPoolQueueCapacity deleteTopicWithBrokerRegistration enableAllTopicList
    enableControllerInNamesrv enableShutdownGracefully enableTopicList listenPort needWaitForService
    notifyMinBrokerIdChanged orderMessageEnable productEnvName returnOrderTopicConfigToBroker
    scanNotActiveBrokerInterval serverAsyncSemaphoreValue serverCallbackExecutorThreads
    serverChannelMaxIdleTimeSeconds serverNettyWorkerGroupEnable serverOnewaySemaphoreValue
    serverPooledByteBufAllocatorEnable serverSelectorThreads serverSocketBacklog serverSocketRcvBufSize
    serverSocketSndBufSize serverWorkerThreads shutdownWaitTimeSeconds supportActingMaster
    unRegisterBrokerQueueCapacity useEpollNativeSelector waitSecondsForService writeBufferHighWaterMark
    writeBufferLowWaterMark`
  for (const key of apache.split(/\s+/)) assert.ok(keys.has(key), key)
})

// The page at `/` in a real browser.
import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import { encodeRegisterBroker, nameServerRequests } from '@gantrymq/protocol'
import { RemotingClient, silent } from '@gantrymq/remoting'
import { Producer, PushConsumer } from '@gantrymq/client'
import { standaloneOptions } from '../src/standalone/options.ts'
import { Standalone } from '../src/standalone/standalone.ts'
import { Chromium, findChromium } from './chromium.ts'

const chromium = findChromium()
const skip = chromium === undefined && 'no Chromium or Chrome on the PATH or at CHROME_PATH'

const HOSTILE_CLUSTER = '<img src=x onerror="document.title=1">'
const HOSTILE_BROKER = 'b\u202egpj.exe</script><script>document.title=1</script>'

let rocketmq: Standalone
let browser: Chromium
let home: string

before(async () => {
  if (chromium === undefined) return
  rocketmq = await Standalone.start(standaloneOptions.resolve({ memory: true, listenPort: 0, brokerPort: 0 }), silent)
  home = `http://127.0.0.1:${rocketmq.port}/`
  browser = await Chromium.start(chromium, ['mq.example'])
})

after(async () => {
  await browser?.close()
  await rocketmq?.close()
})

/** Opens a page, and checks after the test that it has asked only its server, and that the browser had nothing to say. */
async function opened(url: string, pattern: RegExp): Promise<string> {
  await browser.open('about:blank')
  const seen = browser.complaints.length
  await browser.open(url)
  const text = await browser.waitForText(pattern)
  assert.deepEqual(browser.complaints.slice(seen), [])
  return text
}

async function registerHostileBroker(t: TestContext): Promise<void> {
  const client = new RemotingClient()
  t.after(() => client.close())
  await client.call(rocketmq.nameServerAddress, nameServerRequests.REGISTER_BROKER, {
    header: {
      brokerName: HOSTILE_BROKER,
      brokerAddr: '10.0.0.1:10911',
      clusterName: HOSTILE_CLUSTER,
      haServerAddr: '10.0.0.1:10912',
      brokerId: 0,
    },
    body: encodeRegisterBroker(
      {
        dataVersion: { stateVersion: 0, timestamp: 1, counter: 1 },
        topics: new Map(),
        topicQueueMappings: new Map(),
        filterServers: [],
      },
      { version: 513, compressed: false },
    ),
  })
}

test('the page shows clusters, and brokers with their age', { skip }, async () => {
  const text = await opened(home, /DefaultCluster/)
  assert.match(text, /RocketMQ name server/)
  assert.match(text, /Gantry \S+, up for \d+ \S+, ready/)
  assert.match(text, /broker-a\s+0, master\s+DefaultCluster\s+127\.0\.0\.1:\d+\s+\d+\s+\d+ m?s ago/)
  assert.match(await browser.evaluate('document.title'), /^RocketMQ name server - Gantry$/)
})

test('a topic is found with the keyboard alone, with its route and what keeps clients from it', { skip }, async t => {
  const producer = await Producer.start({ nameServers: rocketmq.nameServerAddress, group: 'shop', log: silent })
  t.after(() => producer.close())
  await producer.send({ topic: 'Orders', body: 'hello' })
  await opened(home, /DefaultCluster/)
  await browser.press('/')
  await browser.type('Ord')
  await browser.press('Enter')
  await browser.waitForText(/Topics that begin with Ord \(1\)/)
  assert.equal(await browser.evaluate('document.activeElement.id'), 'content', 'the reader is at the new content')
  while ((await browser.evaluate('document.activeElement.textContent')) !== 'Orders') await browser.press('Tab')
  await browser.press('Enter')
  const text = await browser.waitForText(/Topic Orders/)
  assert.match(text, /FOUND The topic has a route/)
  assert.match(text, /broker-a\s+6 \(read, write\)\s+4\s+4/)
})

test('the page says why there is no route of a topic', { skip }, async () => {
  await opened(`${home}#/topics?prefix=orders`, /No topic is called orders\. Why\?/)
  await browser.evaluate(`[...document.links].find(({ text }) => text === 'Why?').click()`)
  const text = await browser.waitForText(/NOT_REGISTERED/)
  assert.match(text, /nearly this name: "Orders"/)
})

test('names of peers are text, without markup and hidden characters', { skip }, async t => {
  await registerHostileBroker(t)
  const text = await opened(home, /gpj/)
  assert.ok(text.includes(HOSTILE_CLUSTER))
  assert.ok(text.includes('b\\u{202e}gpj.exe</script>'))
  assert.deepEqual(await browser.evaluate(`[document.images.length, document.scripts.length]`), [0, 1])
  await opened(`${home}#/topics/${encodeURIComponent('<b>\u202etxt')}`, /Topic <b>\\u\{202e\}txt/)
})

test('the policy of the page runs no other script, style or address', { skip }, async () => {
  await opened(home, /DefaultCluster/)
  const attempt = (code: string) =>
    browser.evaluate<string>(`(async () => { ${code} })().then(() => 'done', error => error.name)`)
  assert.equal(await attempt(`document.body.innerHTML = '<b>x</b>'`), 'TypeError', 'trusted types')
  assert.equal(await attempt(`await fetch('http://127.0.0.1:1/')`), 'TypeError', 'connect-src')
  const injected = `const s = document.createElement('style'); s.textContent = 'h1{color:red}'; document.head.append(s)`
  await attempt(injected)
  assert.notEqual(await browser.evaluate(`getComputedStyle(document.querySelector('h1')).color`), 'rgb(255, 0, 0)')
})

test('the page asks no server but its own', { skip }, async () => {
  const asked = browser.requests.length
  await opened(home, /DefaultCluster/)
  const origins = browser.requests.slice(asked).map(url => (url.startsWith('data:') ? 'data:' : new URL(url).origin))
  assert.deepEqual(
    [...new Set(origins)].filter(origin => origin !== 'null' && origin !== 'data:'),
    [home.slice(0, -1)],
  )
})

test('the broker of the same process has its own page: topics, groups with their backlog, clients', {
  skip,
}, async t => {
  const producer = await Producer.start({ nameServers: rocketmq.nameServerAddress, group: 'shop', log: silent })
  t.after(() => producer.close())
  await producer.send({ topic: 'Orders', body: 'hello' })
  const consumer = await PushConsumer.start({
    nameServers: rocketmq.nameServerAddress,
    group: 'billing',
    subscriptions: { Orders: '*' },
    consumeFrom: 'first',
    onMessage: () => Promise.reject(new Error('later')),
    log: silent,
  })
  t.after(() => consumer.close())
  await opened(home, /broker broker-a/)
  await browser.evaluate(`[...document.links].find(({ text }) => text === 'broker broker-a').click()`)
  await browser.waitForText(/RocketMQ broker[^]*ready[^]*In the same process\s+name server/)
  const click = (text: string) => browser.evaluate(`[...document.links].find(link => link.text === '${text}').click()`)
  await click('Clients')
  await browser.waitForText(/billing\s+consumer\s+\S+\s+127\.0\.0\.1:\d+\s+/)
  await click('Topics')
  await browser.waitForText(/Orders\s+6 \(read, write\)\s+4\s+4\s+\d+/)
  await click('Groups')
  await browser.waitForText(/billing\s+1\s+clustering\s+\d+/)
  await click('billing')
  await browser.waitForText(/Group billing[^]*Orders/)
})

test('a site that gives the address of the server to its own name is refused', { skip }, async () => {
  await browser.open('about:blank')
  await browser.open(home.replace('127.0.0.1', 'mq.example'))
  assert.match(await browser.waitForText(/HOST_NOT_ALLOWED/), /add the name to httpAllowedHosts/)
})

test('the page is dark where the reader prefers that', { skip }, async () => {
  const back = () => browser.evaluate(`getComputedStyle(document.body).backgroundColor`)
  await opened(home, /DefaultCluster/)
  await browser.prefer('light')
  assert.equal(await back(), 'rgb(255, 255, 255)')
  await browser.prefer('dark')
  assert.equal(await back(), 'rgb(15, 19, 24)')
})

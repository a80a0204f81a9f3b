import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { testCluster } from '@gantrymq/testkit/cluster'
import { ClientError } from '../../errors.ts'
import { instanceOptions } from '../../instance/instance-options.ts'
import { readOptions } from '../../options.ts'
import { recordingLog } from '../../../test/push-fixture.ts'
import { Membership } from '../group/membership.ts'
import { Problems } from '../../problems.ts'
import { PollHealth } from './poll-health.ts'
import { PollLoop, type PollLoopOptions } from './poll-loop.ts'

const queue = { topic: 'Orders', brokerName: 'broker-a', queueId: 0 }

async function looped(t: TestContext, step: PollLoopOptions['step']) {
  const cluster = await testCluster(t)
  const { clock, dial, nameServerList: nameServers } = cluster
  const { log, texts } = recordingLog()
  const settings = readOptions('test', instanceOptions, { clock, dial, nameServers, log })
  const membership = new Membership({ ...settings, waitForNameServer: true, onProblem: undefined }, 'readers')
  const { instance, group } = membership
  const failures: string[] = []
  const onFailure = ({ code }: ClientError): void => void failures.push(code)
  const problems = new Problems(() => {})
  const health = new PollHealth({ clock, problems, reads: () => true, shown: topic => topic, onOtherSubscription() {} })
  const context = { instance, group, settings: { pullRetryMs: 1000 }, health }
  const loop = new PollLoop({ context, queue, verb: 'pull', step, onFailure })
  const stop = async (): Promise<void> => {
    loop.stop()
    await loop.done
  }
  cluster.own({ close: () => membership.close({ stop, release: async () => {} }) })
  const warnings = (): string[] => texts.filter(text => text.startsWith('warn'))
  return { cluster, loop, warnings, failures, problems }
}

test('a loop sleeps between its steps, until it is woken or stopped', async t => {
  let steps = 0
  const { cluster, loop } = await looped(t, () => {
    steps++
    return loop.sleep(1000)
  })
  loop.start()
  assert.deepEqual([steps, loop.isAsleep], [1, true])
  await cluster.advance(1000)
  assert.equal(steps, 2)
  loop.wake()
  await cluster.settle()
  assert.equal(steps, 3)
  loop.stop()
  await loop.done
  assert.deepEqual([steps, loop.isAsleep, loop.isStopped], [3, false, true])
})

test('an interrupted step is followed by the next at once, and its failure is not reported', async t => {
  const signals: AbortSignal[] = []
  const { cluster, loop, warnings, failures } = await looped(t, async signal => {
    signals.push(signal)
    if (signals.length > 1) return await loop.sleep(1000)
    await new Promise(resolve => signal.addEventListener('abort', resolve))
    throw new ClientError('ABORTED', 'interrupted')
  })
  loop.start()
  loop.interrupt()
  await cluster.settle()
  assert.deepEqual(
    signals.map(({ aborted }) => aborted),
    [true, false],
  )
  assert.deepEqual([warnings(), failures], [[], []])
})

test('a failure is logged and followed by a rest, which is short and silent if the broker asks for flow control', async t => {
  const problems = [
    new ClientError('TIMEOUT', 'late'),
    new ClientError('BROKER_REFUSED', 'busy', { responseCode: 215 }),
  ]
  let steps = 0
  const { cluster, loop, warnings, failures } = await looped(t, async () => {
    const problem = problems[steps++]
    if (problem !== undefined) throw problem
    await loop.sleep(10_000)
  })
  loop.start()
  await cluster.advance(990, 10)
  assert.deepEqual([steps, warnings()], [1, ['warn pull failed']])
  await cluster.advance(10, 10)
  assert.equal(steps, 2)
  await cluster.advance(20, 10)
  assert.equal(steps, 3)
  assert.deepEqual(failures, ['TIMEOUT', 'BROKER_REFUSED'])
  assert.deepEqual(warnings(), ['warn pull failed'])
})

test('a step that only slept is no sign that polls work again; an answer is one, before the step has ended', async t => {
  let step = async (): Promise<void> => {
    throw new ClientError('TIMEOUT', 'late')
  }
  const { cluster, loop, problems } = await looped(t, () => step())
  loop.start()
  await cluster.advance(11_000, 500)
  assert.deepEqual(
    problems.all.map(({ code }) => code),
    ['ALL_PULLS_FAIL'],
  )
  step = () => loop.sleep(1000)
  await cluster.advance(3000, 500)
  assert.equal(problems.has('ALL_PULLS_FAIL'), true)
  step = () => {
    loop.answered()
    return loop.sleep(60_000)
  }
  await cluster.advance(2000, 500)
  assert.equal(problems.has('ALL_PULLS_FAIL'), false)
})

import assert from 'node:assert/strict'
import net from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Driver, type Load, startLoad } from '../harness/drive.ts'
import { PlanFolder } from '../harness/plan-folder.ts'
import { type Plan, registerPlan, routePlan, writePlan } from './plan.ts'
import { findSubjects } from './subjects.ts'
import { findNameServerDriver } from './suite.ts'

async function drivers(): Promise<Driver[]> {
  const [best, fallback] = [await findNameServerDriver(), await findNameServerDriver('node')]
  return best.kind === 'node' ? [fallback] : [best, fallback]
}

async function planOnDisk(t: TestContext, plan: Plan): Promise<string> {
  const folder = await PlanFolder.create(writePlan)
  t.after(() => folder.close())
  return folder.add(plan)
}

const brief = { inFlight: 1, connections: 2, warmMs: 50, runMs: 150 }

async function loadOnBare(t: TestContext, plan: Plan, load: Partial<Load> = {}): Promise<Load> {
  const { subjects } = await findSubjects(['bare'])
  const server = await subjects[0]?.start()
  assert.ok(server)
  t.after(() => server.close())
  return { ...brief, planPath: await planOnDisk(t, plan), port: server.port, serverPid: server.pid, ...load }
}

/** Starts a server that writes `answer` for every chunk that it reads. */
async function serverAnswering(t: TestContext, answer: Buffer): Promise<number> {
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    socket.on('data', () => socket.write(answer))
  })
  t.after(() => server.close())
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as net.AddressInfo).port
}

for (const driver of await drivers()) {
  test(`the ${driver.kind} driver sends route queries with many in flight`, async t => {
    const plan = routePlan({ topics: 30, brokers: 2 })
    const figures = await startLoad(driver, await loadOnBare(t, plan, { inFlight: 16 })).figures
    assert.ok(figures.answers > 100)
    assert.ok(figures.p50Us > 0 && figures.p50Us <= figures.p99Us && figures.p99Us <= figures.maxUs * 1.04)
    assert.ok(figures.driverCpuMs > 0)
  })

  test(`the ${driver.kind} driver writes large frames completely`, async t => {
    // The bare server verifies the checksum of each body and ends if one is wrong.
    const plan = registerPlan({ topics: 10_000, brokers: 2 }, 'changed')
    const figures = await startLoad(driver, await loadOnBare(t, plan)).figures
    assert.ok(figures.answers > 0)
  })

  test(`the ${driver.kind} driver keeps a fixed rate and can be stopped early`, async t => {
    const plan = registerPlan({ topics: 10, brokers: 2 }, 'unchanged')
    const load = startLoad(driver, await loadOnBare(t, plan, { perSecond: 20, warmMs: 0, runMs: 600_000 }))
    await load.primed
    const since = performance.now()
    setTimeout(() => load.stop(), 520)
    const { answers } = await load.figures
    // On a busy machine the stop may come late.
    const most = ((performance.now() - since) / 1000) * 20 + 3
    assert.ok(answers >= 5 && answers <= most, `${answers} answers, but at most ${most} requests were due`)
  })

  test(`the ${driver.kind} driver counts refusals among the answers that it checks`, async t => {
    const header = Buffer.from(`{"code":1,"flag":1,"opaque":1000,"remark":"${'x'.repeat(40)}"}`)
    const head = Buffer.alloc(8)
    head.writeUInt32BE(4 + header.length, 0)
    head.writeUInt32BE(header.length, 4)
    const port = await serverAnswering(t, Buffer.concat([head, header]))
    const planPath = await planOnDisk(t, routePlan({ topics: 5, brokers: 1 }))
    const load = startLoad(driver, { ...brief, planPath, port, serverPid: process.pid })
    const { answers, refused } = await load.figures
    assert.ok(refused > 0 && refused <= answers / 64 + 1, `${refused} of ${answers}`)
  })

  test(`the ${driver.kind} driver is killed if the server never answers`, async t => {
    const port = await serverAnswering(t, Buffer.alloc(0))
    const planPath = await planOnDisk(t, routePlan({ topics: 5, brokers: 1 }))
    const load = startLoad(driver, { ...brief, planPath, port, serverPid: process.pid }, 200)
    await assert.rejects(load.figures, /left requests unanswered/)
    await assert.rejects(load.primed, /left requests unanswered/)
  })

  test(`the ${driver.kind} driver reports a failed connection`, async t => {
    const planPath = await planOnDisk(t, routePlan({ topics: 5, brokers: 1 }))
    await assert.rejects(startLoad(driver, { ...brief, planPath, port: 1, serverPid: 1 }).figures, /connect|REFUSED/)
  })
}

import { TestCluster } from './cluster/test-cluster.ts'
for (let i = 0; i < 200; i++) {
  const t = performance.now()
  const c = await TestCluster.start({ brokers: 2 })
  const t1 = performance.now()
  for (const b of c.brokers) await b.setTopic('Orders', { readQueues: 2 })
  const t2 = performance.now()
  await c.advance(10_000, 1000)
  const t3 = performance.now()
  await c.close()
  const t4 = performance.now()
  if (i % 40 === 39)
    console.log(
      'start',
      (t1 - t).toFixed(1),
      'topics',
      (t2 - t1).toFixed(1),
      'advance',
      (t3 - t2).toFixed(1),
      'close',
      (t4 - t3).toFixed(1),
      Math.round(process.memoryUsage().rss / 1e6),
      (process.cpuUsage().user / 1e3 / (i + 1)) | 0,
    )
}

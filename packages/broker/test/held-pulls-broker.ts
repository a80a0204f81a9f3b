// A broker in memory that tells its parent how much it holds and how much memory it takes.
import { Broker } from '@gantrymq/broker'

const broker = await Broker.start({
  port: 0,
  host: '127.0.0.1',
  httpEnabled: false,
  maxHeldPulls: 100_000,
  maxFrameMemory: 64 << 20,
})
process.on('message', question => {
  if (question === 'memory') globalThis.gc?.()
  const { maxRSS } = process.resourceUsage()
  process.send?.({ held: broker.status.heldPulls, rss: process.memoryUsage.rss(), peak: maxRSS * 1024 })
})
process.on('disconnect', () => process.exit())
process.send?.(broker.address.port)

import { queryRequests } from '@gantrymq/protocol'
import { toClientError } from '../errors.ts'
import type { Sender } from './send-loop.ts'

/** How often it is looked which brokers are due, milliseconds (Apache's LatencyFaultToleranceImpl). */
const LOOK_MS = 3000

/**
 * Asks brokers that sends failed at whether they are there again, so that no message has to find out. Apache's detector
 * of 5.x (`startDetectorEnable`).
 */
export function probeBrokers(sender: Sender): Disposable {
  return sender.settings.clock.every(LOOK_MS, () => {
    for (const broker of sender.faults?.dueForProbe(sender.settings.clock.elapsed(), sender.settings.probeEveryMs) ??
      []) {
      if (sender.faults?.isReachable(broker) === false) void probe(sender, broker)
    }
  })
}

// Any answer will do, also a refusal: somebody is there.
async function probe({ instance, faults, settings }: Sender, broker: string): Promise<void> {
  const address = instance.brokers.master(broker)
  if (address === undefined) return faults?.forget(broker)
  const header = { topic: settings.createTopicKey, queueId: 0, bname: broker }
  const options = { timeoutMs: settings.probeTimeoutMs }
  try {
    await instance.call(address, queryRequests.GET_MAX_OFFSET, { header }, options)
    faults?.found(broker)
  } catch (error) {
    if (toClientError(error).code === 'BROKER_REFUSED') faults?.found(broker)
  }
}

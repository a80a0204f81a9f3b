import { queryRequests } from '@gantrymq/protocol'
import { toClientError } from '../errors.ts'
import type { Sender } from './send-loop.ts'

/** Time between two rounds of probes, milliseconds (Apache's LatencyFaultToleranceImpl). */
const ROUND_MS = 3000

/**
 * Probes unreachable brokers, so that no message has to find out whether they are back. Apache's detector in 5.x
 * (`startDetectorEnable`).
 */
export function probeBrokers(sender: Sender): Disposable {
  return sender.settings.clock.every(ROUND_MS, () => {
    for (const broker of sender.faults?.dueForProbe(sender.settings.clock.elapsed(), sender.settings.probeEveryMs) ??
      []) {
      if (sender.faults?.isReachable(broker) === false) void probe(sender, broker)
    }
  })
}

// Any answer counts, also a refusal.
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

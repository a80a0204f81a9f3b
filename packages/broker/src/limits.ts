import { totalmem } from 'node:os'
import type { BrokerOptions } from './options.ts'
import type { ColdReadLimits } from './pulling/cold-reads.ts'
import type { SendWaitLimits } from './sending/waiting-sends.ts'

/** Part of the machine's memory that likely holds the newest messages (Apache's accessMessageInMemoryMaxRatio). */
const MEMORY_RATIO = 0.4

export function hotBytes(): number {
  return Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY) * MEMORY_RATIO
}

export function sendWaitLimits(options: BrokerOptions): SendWaitLimits {
  const { brokerFastFailureEnable, waitTimeMillsInSendQueue, sendThreadPoolQueueCapacity: sends } = options
  return { sends, ms: brokerFastFailureEnable ? waitTimeMillsInSendQueue : undefined }
}

export function coldReadLimits(options: BrokerOptions): ColdReadLimits {
  const { brokerFastFailureEnable, waitTimeMillsInPullQueue, maxColdPulls: requests, maxRequestsInProgress } = options
  const requestsPerConnection = Math.max(Math.floor(maxRequestsInProgress / 2), 1)
  return { requests, requestsPerConnection, ms: brokerFastFailureEnable ? waitTimeMillsInPullQueue : undefined }
}

import { totalmem } from 'node:os'
import type { BrokerOptions } from './options.ts'
import type { ColdPullLimits } from './pulling/cold-pulls.ts'
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

export function coldPullLimits(options: BrokerOptions): ColdPullLimits {
  const { brokerFastFailureEnable, waitTimeMillsInPullQueue, maxColdPulls: pulls, maxRequestsInProgress } = options
  const pullsPerConnection = Math.max(Math.floor(maxRequestsInProgress / 2), 1)
  return { pulls, pullsPerConnection, ms: brokerFastFailureEnable ? waitTimeMillsInPullQueue : undefined }
}

import { isPromise, type Logger } from '@gantrymq/remoting'

/** Calls a user's function whose result does not matter. What it throws, or its promise rejects with, is logged. */
export function callUser(log: Logger, topic: string, call: () => unknown, what = 'listener for queues'): void {
  const failed = (error: unknown): void => log.error({ topic, error: String(error) }, `${what} failed`)
  try {
    const result = call()
    if (isPromise(result)) result.then(undefined, failed)
  } catch (error) {
    failed(error)
  }
}

import { isPromise, type Logger } from '@gantrymq/remoting'

/** Calls a user's function that is only told something. What it throws, or what its promise ends with, is logged. */
export function tellUser(log: Logger, topic: string, call: () => unknown): void {
  const failed = (error: unknown): void => log.error({ topic, error: String(error) }, 'listener for queues failed')
  try {
    const said = call()
    if (isPromise(said)) said.then(undefined, failed)
  } catch (error) {
    failed(error)
  }
}

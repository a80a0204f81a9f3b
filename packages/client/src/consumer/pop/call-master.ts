import { V5_0_0 } from '@gantrymq/protocol'
import { type CallInput, REQUEST_CODE_NOT_SUPPORTED, type Reply, type RequestDeclaration } from '@gantrymq/remoting'
import { Deadline } from '../../deadline.ts'
import { ClientError } from '../../errors.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { CallOptions } from '../../message/message.ts'
import { type BrokerOfTopic, findMaster } from '../../routes/find-broker.ts'

/** The consumer that pops. */
export interface PopContext {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
}

/** Sends a broker's master a request that only brokers of 5.x know. @throws ClientError UNSUPPORTED for brokers of 4.9, and as `findMaster` and `ClientInstance.call` */
export async function callMaster<const D extends RequestDeclaration>(
  instance: ClientInstance,
  broker: BrokerOfTopic,
  declaration: D,
  input: CallInput<D>,
  options: CallOptions,
): Promise<Reply<D>> {
  const { brokerName } = broker
  const deadline = Deadline.of(instance.clock, options, instance.options.requestTimeoutMs)
  const address = await findMaster(instance, broker, deadline)
  const version = instance.brokers.version(brokerName, address)
  if (version !== 0 && version < V5_0_0) throw unsupported(brokerName, address)
  try {
    return await instance.call(address, declaration, input, deadline.options())
  } catch (error) {
    const isUnknown = error instanceof ClientError && error.responseCode === REQUEST_CODE_NOT_SUPPORTED
    throw isUnknown ? unsupported(brokerName, address, error) : error
  }
}

function unsupported(brokerName: string, address: string, cause?: unknown): ClientError {
  const text = `broker ${brokerName} at ${address} does not support pop, which needs 5.0 or later: use PushConsumer or LitePullConsumer`
  return new ClientError('UNSUPPORTED', text, { address, cause })
}

import { textsOf } from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'

/** Client ids of a group's consumers: Apache's GetConsumerListByGroupResponseBody. */
export interface ConsumerList {
  readonly consumerIdList: readonly string[]
}

export const consumerListBody = jsonBody<ConsumerList>(
  'GetConsumerListByGroupResponseBody',
  ({ consumerIdList }) => ({ consumerIdList }),
  object => ({ consumerIdList: textsOf(object, 'consumerIdList') ?? [] }),
)

import { boolOf, constantOf, numberOf, textOf } from '@gantrymq/remoting'
import { jsonBody } from './json-body.ts'

const RESULTS = ['CR_SUCCESS', 'CR_LATER', 'CR_ROLLBACK', 'CR_COMMIT', 'CR_THROW_EXCEPTION', 'CR_RETURN_NULL'] as const

/** Apache's CMResult. */
export type ConsumeResult = (typeof RESULTS)[number]

/** The result of consuming a message that an operator sent to one consumer: Apache's ConsumeMessageDirectlyResult. */
export interface ConsumeMessageDirectlyResult {
  readonly order: boolean
  readonly autoCommit: boolean
  readonly consumeResult: ConsumeResult
  /** The exception, if one was thrown. */
  readonly remark?: string
  /** Milliseconds. */
  readonly spentTimeMills: number
}

export const consumeDirectlyBody = jsonBody<ConsumeMessageDirectlyResult>(
  'ConsumeMessageDirectlyResult',
  ({ autoCommit, consumeResult, order, remark, spentTimeMills }) => ({
    autoCommit,
    consumeResult,
    order,
    remark,
    spentTimeMills,
  }),
  object => {
    const remark = textOf(object, 'remark')
    return {
      order: boolOf(object, 'order', false),
      autoCommit: boolOf(object, 'autoCommit', true),
      consumeResult: constantOf(object, 'consumeResult', RESULTS, 'CR_RETURN_NULL'),
      ...(remark === undefined ? undefined : { remark }),
      spentTimeMills: numberOf(object, 'spentTimeMills', 0),
    }
  },
)

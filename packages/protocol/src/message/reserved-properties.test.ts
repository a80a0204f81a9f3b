import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROPERTY, RESERVED_PROPERTIES, userPropertyProblem } from './reserved-properties.ts'

// As MessageConst.STRING_HASH_SET of 4.9.7 (first line) and 5.5.0 (all) prints them.
const JAVA = `ARRIVE_TIME BUYER_ID CLUSTER CONSUME_START_TIME CORRECTION_FLAG CORRELATION_ID DELAY INNER_MULTI_QUEUE_OFFSET INSTANCE_ID KEYS MAX_OFFSET MAX_RECONSUME_TIMES MIN_OFFSET MQ2_FLAG MSG_REGION MSG_TYPE ORIGIN_MESSAGE_ID PGROUP PUSH_REPLY_TIME REAL_QID REAL_TOPIC RECONSUME_TIME REPLY_TO_CLIENT RETRY_TOPIC TAGS TRACE_ON TRANSFER_FLAG TRAN_MSG TTL UNIQ_KEY WAIT
1ST_POP_TIME BORN_TIMESTAMP DLQ_ORIGIN_MESSAGE_ID DLQ_ORIGIN_TOPIC DUP_INFO EXTEND_UNIQ_INFO ORIGIN_GROUP POP_CK POP_CK_OFFSET TIMER_DELAY_LEVEL TIMER_DELAY_MS TIMER_DELAY_SEC TIMER_DELIVER_MS TIMER_DEL_UNIQKEY TIMER_DEQUEUE_MS TIMER_ENQUEUE_MS TIMER_OUT_MS TIMER_ROLL_TIMES TRAN_PREPARED_QUEUE_OFFSET _SYS_MSG_PRIORITY_ __BORNHOST __CRC32# __LITE_TOPIC`

test('the reserved names are those of both Java lines', () => {
  assert.deepEqual([...RESERVED_PROPERTIES].toSorted(), JAVA.split(/\s/).toSorted())
})

test('every name occurs once', () => {
  const names = Object.values(PROPERTY)
  assert.equal(new Set<string>(names).size, names.length)
})

test('users may not set reserved or blank names, empty values or separators', () => {
  assert.equal(userPropertyProblem('colour', 'red'), undefined)
  assert.match(userPropertyProblem('TAGS', 'red') ?? '', /"TAGS" is reserved/)
  assert.match(userPropertyProblem(' ', 'red') ?? '', /no name/)
  assert.match(userPropertyProblem('colour', ' ') ?? '', /"colour" has no value/)
  assert.match(userPropertyProblem('colour', 'r\u0002') ?? '', /U\+0002/)
  assert.match(userPropertyProblem('c\u0001', 'red') ?? '', /U\+0001/)
})

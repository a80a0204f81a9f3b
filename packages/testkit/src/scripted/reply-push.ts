import { clientNotices, responseCodes as codes, type sendRequests, writeMessageProperties } from '@gantrymq/protocol'
import { type Answer, type Call, type Peer, ResponseError } from '@gantrymq/remoting'
import { type BrokerState, propertiesOf } from './broker-state.ts'

type SendReply = (typeof sendRequests)['SEND_REPLY_MESSAGE']

/** Sends a reply to the producer that waits for it: Apache's ReplyMessageProcessor. */
export async function pushReply(
  state: BrokerState,
  header: Call<SendReply>['header'],
  body: Buffer | null,
  peer: Peer,
): Promise<Pick<Answer<SendReply>, 'header'>> {
  const properties = propertiesOf(header.properties)
  const clientId = properties.get('REPLY_TO_CLIENT')
  if (clientId === undefined) throw failed('reply message properties[REPLY_TO_CLIENT] is null')
  const producer = state.members.producerPeer(clientId)
  if (!producer?.isOpen) throw failed(`push reply message fail, channel of <${clientId}> not found.`)
  properties.set('PUSH_REPLY_TIME', String(state.now))
  const { host } = state
  const input = {
    header: {
      ...header,
      properties: writeMessageProperties(properties),
      bornHost: peer.remoteAddress,
      storeHost: `${host().ip}:${host().port}`,
      storeTimestamp: state.now,
    },
    body,
  }
  try {
    await producer.call(clientNotices.PUSH_REPLY_MESSAGE_TO_CLIENT, input, { timeoutMs: 10_000 })
  } catch (error) {
    throw new ResponseError(codes.SYSTEM_ERROR, `push reply message to ${clientId}fail.`, { cause: error })
  }
  return {
    header: { msgId: '0', queueId: header.queueId, queueOffset: 0, MSG_REGION: 'DefaultRegion', TRACE_ON: true },
  }
}

function failed(remark: string): ResponseError {
  return new ResponseError(codes.SYSTEM_ERROR, remark)
}

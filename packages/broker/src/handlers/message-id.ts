import { readOffsetMessageId, responseCodes } from '@gantrymq/protocol'
import { ResponseError } from '@gantrymq/remoting'

/** The position of a message in the log, which its offset id contains. @throws ResponseError if the text is no such id */
export function positionInId(msgId: string): number {
  try {
    return Number(readOffsetMessageId(msgId).physicalOffset)
  } catch (error) {
    throw new ResponseError(responseCodes.SYSTEM_ERROR, (error as Error).message)
  }
}

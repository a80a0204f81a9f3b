import type { StoredMessage } from '../src/message/codec.ts'

/** A message as a broker stores it, with the simplest value in each field. */
export const plainMessage: StoredMessage = {
  topic: 'TopicTest',
  body: Buffer.from('Hello'),
  properties: new Map([['TAGS', 'A']]),
  queueId: 2,
  flag: 0,
  sysFlag: 0,
  queueOffset: 5,
  physicalOffset: 1024,
  bornTimestamp: 1700000000000,
  bornHost: { ip: '192.168.0.10', port: 50000 },
  storeTimestamp: 1700000000123,
  storeHost: { ip: '192.168.0.20', port: 10911 },
  reconsumeTimes: 0,
  preparedTransactionOffset: 0,
  bodyCrc: 0x77d18982,
}

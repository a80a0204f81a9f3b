import { bodyCrc, encodeMessage, type StoredMessage, storedSize, writeStored } from '@gantrymq/protocol'
import type { MicroCase } from './measure.ts'

const body = Buffer.alloc(128, 0x61)
const NOW = 1_700_000_000_000

/** A message as a Java producer's broker stores it. */
const message: StoredMessage = {
  topic: 'TopicTest',
  body,
  properties: new Map([
    ['KEYS', 'order-4711'],
    ['UNIQ_KEY', '7F000001A1B218B4AAC2123456780000'],
    ['CLUSTER', 'DefaultCluster'],
    ['WAIT', 'true'],
    ['TAGS', 'TagA'],
  ]),
  queueId: 3,
  flag: 0,
  sysFlag: 0,
  queueOffset: 1_000_000,
  physicalOffset: 5_000_000_000,
  bornTimestamp: NOW,
  bornHost: { ip: '192.168.0.10', port: 50_000 },
  storeTimestamp: NOW + 3,
  storeHost: { ip: '192.168.0.20', port: 10_911 },
  reconsumeTimes: 0,
  preparedTransactionOffset: 0,
  bodyCrc: bodyCrc(body),
}

/** Messages to the bytes that brokers store. */
export function messageCases(): MicroCase[] {
  const log = Buffer.alloc(1 << 20)
  let at = 0
  return [
    { name: 'encode a stored message of 128 bytes', work: () => encodeMessage(message), per: 1 },
    {
      name: 'write a stored message of 128 bytes in place',
      work: () => {
        const size = storedSize(message)
        if (at + size > log.length) at = 0
        at = writeStored(message, log, at, size)
        return at
      },
      per: 1,
    },
  ]
}

import { bigLong, header, optional, request, text } from '@gantrymq/remoting'

/** What a name server sends to brokers. */
export const brokerNotices = {
  NOTIFY_MIN_BROKER_ID_CHANGE: request({
    code: 905,
    oneway: true,
    purpose: 'The lowest broker id of a group has changed (5.x): the group may need another acting master.',
    header: header({
      minBrokerId: optional(bigLong()),
      brokerName: optional(text()),
      minBrokerAddr: optional(text()),
      /** Who went, where somebody went. */
      offlineBrokerAddr: optional(text()),
      haBrokerAddr: optional(text()),
    }),
  }),
}

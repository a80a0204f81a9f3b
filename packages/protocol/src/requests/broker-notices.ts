import { bigLong, header, optional, request, text } from '@gantrymq/remoting'

/** Requests of a name server to brokers. */
export const brokerNotices = {
  NOTIFY_MIN_BROKER_ID_CHANGE: request({
    code: 905,
    oneway: true,
    purpose: 'Notifies a broker group that its lowest broker id has changed (5.x): it may need another acting master.',
    header: header({
      minBrokerId: optional(bigLong()),
      brokerName: optional(text()),
      minBrokerAddr: optional(text()),
      /** Address of the broker that went offline, if one did. */
      offlineBrokerAddr: optional(text()),
      haBrokerAddr: optional(text()),
    }),
  }),
}

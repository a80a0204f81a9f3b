/** The time is too far away, or no time: in Apache, PutMessageStatus.WHEEL_TIMER_MSG_ILLEGAL. */
export const TIMER_ILLEGAL = 'TIMER_ILLEGAL'
/** Too many messages wait: in Apache, PutMessageStatus.WHEEL_TIMER_FLOW_CONTROL. */
export const TIMER_CONGESTED = 'TIMER_CONGESTED'

/** Why a message cannot wait for its time. */
export type TimerRefusal = typeof TIMER_ILLEGAL | typeof TIMER_CONGESTED

/** Most messages that wait; each takes about 400 bytes, besides its record. Apache limits the messages of each second instead. */
export const MAX_TIMERS = 262_144

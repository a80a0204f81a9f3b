/** What became of an append. Numbers, because a hot path compares them. */
export const APPENDED = 0
/** The body has more than `maxMessageBytes`, or the record does not fit into a file. */
export const TOO_LARGE = 1
/** The properties have more than 32,767 bytes. */
export const PROPERTIES_TOO_LONG = 2
/** The topic has no bytes, or more than 127. */
export const TOPIC_TOO_LONG = 3
/** The store accepts nothing: `MessageStore.whyNotWritable` says why. */
export const NOT_WRITABLE = 4
/** Too much is written and not synced: try again soon, or elsewhere. */
export const BUSY = 5
/** The records of a batch take more than `maxMessageBytes` together. */
export const BATCH_TOO_LARGE = 6
/** The properties end with a zero byte, or contain 512 of them: after a crash they would be taken for bytes never written. */
export const BAD_PROPERTIES = 7

export type AppendStatus =
  | typeof APPENDED
  | typeof TOO_LARGE
  | typeof PROPERTIES_TOO_LONG
  | typeof TOPIC_TOO_LONG
  | typeof NOT_WRITABLE
  | typeof BUSY
  | typeof BATCH_TOO_LARGE
  | typeof BAD_PROPERTIES

import { bool, optional, text } from '@gantrymq/remoting'

/** The fields that headers inherit from Apache's RpcRequestHeader. 4.9 knows only `bname` and ignores the others. */
export const rpcFields = {
  /** Name of the broker group; set by callers for static topics. */
  bname: optional(text()),
  ns: optional(text()),
  /** True if the names have their namespace already. */
  nsd: optional(bool()),
  oway: optional(bool()),
}

/** The fields that headers inherit from Apache's TopicRequestHeader and TopicQueueRequestHeader (5.x). */
export const topicFields = {
  ...rpcFields,
  /** False if the queue id is a physical one of this broker, not a logical one of the static topic. */
  lo: optional(bool()),
}

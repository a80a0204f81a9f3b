import { bool, optional, text } from '@gantrymq/remoting'

/** What headers inherit from Apache's RpcRequestHeader. 4.9 knows `bname` only and skips the rest. */
export const rpcFields = {
  /** Name of the broker group, told by callers of static topics. */
  bname: optional(text()),
  ns: optional(text()),
  /** The names are with their namespace already. */
  nsd: optional(bool()),
  oway: optional(bool()),
}

/** What headers inherit from Apache's TopicRequestHeader and TopicQueueRequestHeader (5.x). */
export const topicFields = {
  ...rpcFields,
  /** False: the queue id is one of this broker already, not one of the static topic. */
  lo: optional(bool()),
}

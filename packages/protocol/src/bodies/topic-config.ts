/** One topic on one broker, as the broker keeps it: Apache's TopicConfig. */
export interface TopicConfig {
  readonly topicName: string
  /** Default 16. */
  readonly readQueueNums: number
  /** Default 16. */
  readonly writeQueueNums: number
  /** Permission bits, default 6. */
  readonly perm: number
  /** `SINGLE_TAG` or `MULTI_TAG`. */
  readonly topicFilterType: string
  /** Bit 1: unit, bit 2: unit subscription. */
  readonly topicSysFlag: number
  readonly order: boolean
  /** 5.x; absent in what 4.9 brokers send. */
  readonly attributes?: ReadonlyMap<string, string>
}

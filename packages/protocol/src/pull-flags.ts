/** Bits of a pull's sysFlag: Apache's PullSysFlag. */
export const pullFlags = {
  /** `commitOffset` of the header is to be committed. */
  commitOffset: 1,
  /** The broker may hold the pull if it finds nothing. */
  suspend: 2,
  /** The header has the subscription; otherwise the broker takes the one of the last heartbeat. */
  subscription: 4,
  litePull: 16,
} as const

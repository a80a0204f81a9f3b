/** Bits of a pull's sysFlag: Apache's PullSysFlag. */
export const pullFlags = {
  /** The broker should commit the `commitOffset` of the header. */
  commitOffset: 1,
  /** The broker may hold the pull if it finds nothing. */
  suspend: 2,
  /** The header has the subscription; otherwise the broker uses the one in the last heartbeat. */
  subscription: 4,
  litePull: 16,
} as const

/** Why a connection ended. */
export type CloseReason =
  | 'closed'
  | 'peer'
  | 'idle'
  | 'bad_frame'
  | 'slow_frame'
  | 'slow_reader'
  | 'error'
  | 'shutdown'
  | 'limit'
  | 'memory'

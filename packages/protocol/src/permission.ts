/** Permission bits of a topic on a broker: Apache's PermName. */
export const PERM_PRIORITY = 8
export const PERM_READ = 4
export const PERM_WRITE = 2
export const PERM_INHERIT = 1

export function isReadable(perm: number): boolean {
  return (perm & PERM_READ) !== 0
}

export function isWriteable(perm: number): boolean {
  return (perm & PERM_WRITE) !== 0
}

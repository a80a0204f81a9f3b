import { StoreError } from '../errors.ts'
import { diskErrorCode } from './disk.ts'

/** What the store in `root` says of an error of its disk. */
export function storeErrorOf(error: unknown, root: string): StoreError {
  if (error instanceof StoreError) return error
  const { message, syscall } = error as NodeJS.ErrnoException
  // Whatever the reason: after a failed sync the kernel may have dropped what it could not write.
  if (syscall === 'fdatasync' || syscall === 'fsync') {
    return new StoreError('SYNC_FAILED', `the store in ${root} cannot be synced: ${message}`, { cause: error })
  }
  switch (diskErrorCode(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return new StoreError(
        'DISK_FULL',
        `no space is left for the store in ${root}: make room, or choose another storePathRootDir (${message})`,
        { cause: error },
      )
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new StoreError('NO_ACCESS', `the store in ${root} may not be changed: ${message}`, { cause: error })
    default:
      return new StoreError('WRITE_FAILED', `the store in ${root} cannot be written: ${message}`, { cause: error })
  }
}

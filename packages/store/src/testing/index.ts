export {
  DiskCrash,
  type DiskFault,
  FaultyDisk,
  type FaultyDiskOptions,
  type Operation,
  type OperationKind,
} from './faulty-disk.ts'
export type { Survival } from './faulty-file.ts'

// Loaded before a program with --import: no block of its disk is free. A folder needs one, and so does what is written to a file.
import { createRequire, syncBuiltinESMExports } from 'node:module'

interface SpaceTakers {
  mkdirSync: () => never
  writeSync: (fd: number, ...rest: unknown[]) => unknown
  readonly fstatSync: (fd: number) => { isFile(): boolean }
}

const fs = createRequire(import.meta.url)('node:fs') as SpaceTakers
const { writeSync } = fs

function noSpace(syscall: string): never {
  throw Object.assign(new Error(`ENOSPC: no space left on device, ${syscall}`), { code: 'ENOSPC', syscall })
}

fs.mkdirSync = () => noSpace('mkdir')
fs.writeSync = (fd, ...rest) => (fs.fstatSync(fd).isFile() ? noSpace('write') : writeSync(fd, ...rest))
syncBuiltinESMExports()

// Loaded before a program with --import: no block of its disk is free. A folder needs one, and so does what is written to a file.
import { createRequire, syncBuiltinESMExports } from 'node:module'

type Call = (...all: unknown[]) => unknown

const fs = createRequire(import.meta.url)('node:fs') as typeof import('node:fs') & { mkdirSync: Call; writeSync: Call }
const writeSync: Call = fs.writeSync

function noSpace(syscall: string): never {
  throw Object.assign(new Error(`ENOSPC: no space left on device, ${syscall}`), { code: 'ENOSPC', syscall })
}

fs.mkdirSync = () => noSpace('mkdir')
fs.writeSync = (...all) => (fs.fstatSync(all[0] as number).isFile() ? noSpace('write') : writeSync(...all))
syncBuiltinESMExports()

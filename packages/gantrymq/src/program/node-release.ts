// Programs import this before anything that an older Node cannot load, and would report as an error in a module.
import { basename } from 'node:path'

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < 22 || (major === 22 && minor < 18)) {
  const program = basename(process.argv[1] ?? 'gantry', '.js')
  process.stderr.write(`${program} needs Node 22.18 or later, and this is Node ${process.versions.node}.\n`)
  process.exit(1)
}

import { homedir } from 'node:os'
import { printableLines } from '@gantrymq/remoting'
import type { Surroundings } from './program.ts'

/** The current process. */
export function thisProcess(): Surroundings {
  return {
    args: process.argv.slice(2),
    environment: process.env,
    home: homedir(),
    print: line => process.stdout.write(`${printableLines(line)}\n`),
    complain: line => process.stderr.write(`${printableLines(line)}\n`),
  }
}

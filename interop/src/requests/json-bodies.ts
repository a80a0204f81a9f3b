import type { BodySample } from '@gantrymq/testkit'
import type { Release } from '../launch/apache.ts'
import type { Owner } from '../launch/launched-program.ts'
import { startProgram } from '../launch/launcher.ts'

const PROGRAM_DEADLINE_MS = 60_000

/** Lets Apache's classes read our bodies and write them again. Null where a release has no such class. */
export async function throughJava(
  owner: Owner,
  release: Release,
  samples: readonly BodySample[],
): Promise<(Buffer | null)[]> {
  const args = samples.map(sample => `${sample.className}=${sample.encode().toString('hex')}`)
  const program = await startProgram(owner, release, 'JsonBodies', args)
  await program.succeeds(PROGRAM_DEADLINE_MS)
  const lines = [...program.output.matchAll(/^body (\S*)$/gm)].map(([, hex = '']) => hex)
  if (lines.length !== samples.length)
    throw new Error(`Java returned ${lines.length} of ${samples.length} bodies:\n${program.tail()}`)
  return lines.map(hex => (hex === 'none' ? null : Buffer.from(hex, 'hex')))
}

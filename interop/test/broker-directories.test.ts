import { describe, test } from 'node:test'
import { RELEASES, skipReason } from '../src/launch/apache.ts'
import { handOver } from '../src/client/directories.ts'

const TIMEOUT_MS = 240_000

for (const release of RELEASES) {
  describe(`directories, broker ${release}`, { skip: await skipReason() }, () => {
    for (const [from, to] of [
      ['ours', 'Apache'],
      ['Apache', 'ours'],
    ] as const) {
      test(`what waits in a directory of ${from === 'ours' ? 'our broker' : 'Apache'} goes on in ${to === 'ours' ? 'ours' : 'Apache'}`, { timeout: TIMEOUT_MS }, t => handOver(t, { release, from, to })) // biome-ignore format: one thought
    }
  })
}

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientBodySamples } from '@gantrymq/testkit'
import { RELEASES, skipReason } from '../src/launch/apache.ts'
import { throughJava } from '../src/requests/json-bodies.ts'

const skip = await skipReason()

for (const release of RELEASES) {
  test(`the classes of ${release} read our bodies without loss`, { skip }, async t => {
    const samples = clientBodySamples.filter(({ releases }) => releases.includes(release))
    const written = await throughJava(t, release, samples)
    for (const [at, sample] of samples.entries()) {
      const bytes = written[at]
      assert.ok(bytes, `${release} has no ${sample.className}`)
      assert.deepEqual(sample.decode(bytes), sample.value, sample.name)
    }
  })
}

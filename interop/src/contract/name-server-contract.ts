import { describe } from 'node:test'
import { frames } from './frames.ts'
import { departures } from './departures.ts'
import { members } from './members.ts'
import { ourClient } from './our-client.ts'
import { registrations } from './registration.ts'
import { routes } from './routes.ts'
import { configuration, keyValues } from './settings.ts'
import { type ServerUnderTest, serverFor } from './server-under-test.ts'
import { topics } from './topics.ts'
import type { NameServerKind } from '../launch/name-servers.ts'

const areas: Readonly<Record<string, (server: ServerUnderTest) => void>> = {
  'frames and headers': frames,
  registration: registrations,
  departures,
  routes,
  topics,
  'key-value table': keyValues,
  configuration,
  'members and versions': members,
  'our client': ourClient,
}

/**
 * What every name server must do. Where Apache's release lines differ by design, a case says what it expects of each. Ours
 * accepts what either line accepts, otherwise answers as 5.x does, and copies no defect.
 */
export function nameServerContract(kind: NameServerKind): void {
  describe(kind.name, { skip: kind.skip }, () => {
    const server = serverFor(kind)
    for (const [area, cases] of Object.entries(areas)) describe(area, () => cases(server))
  })
}

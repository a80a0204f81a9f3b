import { describe } from 'node:test'
import { frames } from './contract/frames.ts'
import { leaving } from './contract/leaving.ts'
import { members } from './contract/members.ts'
import { ourClient } from './contract/our-client.ts'
import { registrations } from './contract/registration.ts'
import { routes } from './contract/routes.ts'
import { configuration, keyValues } from './contract/settings.ts'
import { type Stage, stageFor } from './contract/stage.ts'
import { topics } from './contract/topics.ts'
import type { Subject } from './subjects.ts'

const areas: Readonly<Record<string, (stage: Stage) => void>> = {
  'frames and headers': frames,
  registration: registrations,
  leaving,
  routes,
  topics,
  'key-value table': keyValues,
  configuration,
  'members and versions': members,
  'our client': ourClient,
}

/**
 * What a name server must do, whoever made it. Where the lines of Apache differ by design each case says what is
 * expected of which; ours accepts what either accepts, answers as 5.x otherwise, and copies no defect.
 */
export function nameServerContract(subject: Subject): void {
  describe(subject.name, { skip: subject.skip }, () => {
    const stage = stageFor(subject)
    for (const [area, cases] of Object.entries(areas)) describe(area, () => cases(stage))
  })
}

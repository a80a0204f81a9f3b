/** Versions that peers announce in each header: ordinals of Apache's MQVersion.Version. */
export const V3_0_11 = 37
export const V4_9_4 = 401
export const V4_9_8 = 409
export const V5_0_0 = 413
export const V5_3_1 = 475
export const V5_5_0 = 513

const V3_0_0_NAMES =
  'SNAPSHOT ALPHA1 BETA1 BETA2 BETA3 BETA4 BETA5 BETA6_SNAPSHOT BETA6 BETA7_SNAPSHOT BETA7 BETA8_SNAPSHOT BETA8 BETA9_SNAPSHOT BETA9 FINAL'

function* releasesOf3(): Generator<string> {
  for (let patch = 1; patch <= 15; patch++) yield `V3_0_${patch}`
  for (let minor = 1; minor <= 9; minor++) {
    // From 3.3 on there is no patch 0.
    for (let patch = minor < 3 ? 0 : 1; patch <= 9; patch++) yield `V3_${minor}_${patch}`
  }
}

/** Names of version 3 by number; they follow no formula. */
const namesOf3: readonly string[] = [
  ...V3_0_0_NAMES.split(' ').map(name => `V3_0_0_${name}`),
  ...[...releasesOf3()].flatMap(name => [`${name}_SNAPSHOT`, name]),
]

const V4_0_0 = 213
const HIGHER_VERSION = 612

/** The name of a version, as Apache's MQVersion.getVersionDesc gives it. `UNKNOWN` for a negative one, which has no name there. */
export function versionName(version: number): string {
  if (version >= HIGHER_VERSION) return 'HIGHER_VERSION'
  const steps = version - V4_0_0
  if (steps < -1) return namesOf3[version] ?? 'UNKNOWN'
  const release = Math.ceil(steps / 2)
  const digits = `${4 + Math.floor(release / 100)}_${Math.floor(release / 10) % 10}_${release % 10}`
  return steps % 2 === 0 ? `V${digits}` : `V${digits}_SNAPSHOT`
}

/** The number of a release of 4.x or 5.x; each part must be below 10. */
export function versionNumber(major: number, minor: number, patch: number): number {
  return V4_0_0 + 2 * ((major - 4) * 100 + minor * 10 + patch)
}

/**
 * The version that Gantry announces: 5.5.0, whose behaviour Gantry has where the lines differ. A smaller number would lose
 * features; a larger one might switch on features of future releases.
 */
export const OUR_VERSION = versionNumber(5, 5, 0)

/** Apache's clients that broadcast keep their id, and so their file of offsets, when they start anew. */
const STEADY_NAME = 'DEFAULT'

/** The settings, with a name that stays the same where offsets are kept by it. */
export function steadyName<S extends { readonly broadcast: boolean; readonly instanceName: string }>(settings: S): S {
  return settings.broadcast && settings.instanceName === '' ? { ...settings, instanceName: STEADY_NAME } : settings
}

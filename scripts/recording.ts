// Records which functions of the packages run, by V8's coverage.
import { Session } from 'node:inspector/promises'
import { fileURLToPath } from 'node:url'

/** File (without `packages/`, as in ARCHITECTURE.md) to the names of its functions that ran. */
export type Recording = Readonly<Record<string, readonly string[]>>

/** Starts recording. The returned function returns what has run since its last call, without code for tests. */
export async function startRecording(): Promise<() => Promise<Recording>> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false })
  return async () => {
    const { result } = await session.post('Profiler.takePreciseCoverage')
    const ours = result.filter(
      ({ url }) => url.startsWith('file:') && /\/packages\/(?!testkit\/|remoting\/src\/testing\/)/.test(url),
    )
    return Object.fromEntries(
      ours.map(({ url, functions }) => {
        const ran = functions.filter(({ ranges }) => (ranges[0]?.count ?? 0) > 0).map(each => each.functionName)
        return [fileURLToPath(url).replace(/^.*\/packages\//, ''), ran.filter(name => name !== '')] as const
      }),
    )
  }
}

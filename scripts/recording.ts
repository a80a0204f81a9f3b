// Which functions of the packages ran, as V8 counts them.
import { Session } from 'node:inspector/promises'
import { fileURLToPath } from 'node:url'

/** `packages/` left out, as in ARCHITECTURE.md: file to the names of its functions that ran. */
export type Recording = Readonly<Record<string, readonly string[]>>

/** Counts from now on. What it gives tells what ran since it was called before; what is there for tests is left out. */
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

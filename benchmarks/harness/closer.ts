import type { Owner } from '../../interop/src/launch/launched-program.ts'

export interface Closer {
  readonly owner: Owner
  close(): Promise<void>
}

/** Collects what the launcher has started, and closes it, the newest first. */
export function closer(): Closer {
  const closes: (() => Promise<void>)[] = []
  const close = async () => {
    for (const each of closes.splice(0).toReversed()) await each()
  }
  return { owner: { after: each => void closes.push(each) }, close }
}

import { FrameError } from './errors.ts'

/** @throws FrameError */
export function readLenientJson(text: string): unknown {
  try {
    return revive(JSON.parse(text))
  } catch (cause) {
    throw new FrameError('the header is not JSON', { cause })
  }
}

function revive(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(revive)
  if (typeof value !== 'object' || value === null) return value
  return new Map(Object.entries(value).map(([key, item]) => [key, revive(item)]))
}

import { isArray, isObject, type JsonKey, type JsonValue } from './value.ts'

/** An object or array that is being read. */
export interface OpenContainer {
  readonly isArray: boolean
  /** Null as long as it is empty, so that a text such as `[[],[],…` does not take fifty times its size in memory. */
  items: Map<JsonKey, JsonValue> | JsonValue[] | null
  /** The name whose value is being read. */
  key: JsonKey
  /** This object is a key of the one around it. */
  readonly isKey: boolean
}

/** The most values that all references of one text may repeat, so that a short text cannot expand into a huge value. */
const REPEATED_VALUES = 65_536

const STEP = /\.((?:[^.[\]\\]|\\.)+)|\[(\d{1,9})\]|\["([^"]*)"\]|\['([^']*)'\]/y

/**
 * Finds the value that `{"$ref":"$.a.b[0]"}` refers to: fastjson writes it for an object that it has written before.
 * References to an object that is still being read (`$`, `..`, `@`) would be circular, which no body is: they are read as null,
 * and so is a path that leads nowhere.
 */
export class References {
  readonly #open: readonly OpenContainer[]
  #left = REPEATED_VALUES

  constructor(open: readonly OpenContainer[]) {
    this.#open = open
  }

  /** The value; undefined if the text would become too large. */
  find(path: string): JsonValue | undefined {
    const steps = stepsOf(path)
    if (steps === undefined) return null
    const found = this.#walk(steps)
    return this.#charge(found) ? found : undefined
  }

  #walk(steps: readonly string[]): JsonValue {
    let depth = 0
    let at = 0
    // Skips the steps that lead along containers that are still open.
    while (at < steps.length && this.#isOpen(depth, steps[at] as string)) {
      depth++
      at++
    }
    if (at === steps.length) return null
    let value = (this.#open[depth]?.items ?? null) as JsonValue
    for (; at < steps.length; at++) value = childOf(value, steps[at] as string)
    return value
  }

  #isOpen(depth: number, step: string): boolean {
    const around = this.#open[depth]
    if (around === undefined || depth + 1 >= this.#open.length) return false
    return around.isArray ? Number(step) === (around.items as JsonValue[] | null)?.length : around.key === step
  }

  #charge(root: JsonValue): boolean {
    const rest: JsonValue[] = [root]
    for (let value = rest.pop(); value !== undefined; value = rest.pop()) {
      if (--this.#left < 0) return false
      if (!isArray(value) && !isObject(value)) continue
      this.#left -= isArray(value) ? value.length : value.size
      if (this.#left < 0) return false
      for (const child of value.values()) if (isArray(child) || isObject(child)) rest.push(child)
    }
    return true
  }
}

function stepsOf(path: string): string[] | undefined {
  if (!path.startsWith('$')) return undefined
  const steps: string[] = []
  STEP.lastIndex = 1
  while (STEP.lastIndex < path.length) {
    const match = STEP.exec(path)
    if (match === null) return undefined
    steps.push(match[1]?.replaceAll(/\\(.)/g, '$1') ?? match[2] ?? match[3] ?? match[4] ?? '')
  }
  return steps
}

function childOf(value: JsonValue, step: string): JsonValue {
  if (isObject(value)) return value.get(step) ?? null
  return isArray(value) ? (value[Number(step)] ?? null) : null
}

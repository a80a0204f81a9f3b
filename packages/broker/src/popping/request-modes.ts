import type { MessageRequestMode, SetMessageRequestMode } from '@gantrymq/protocol'

/** Whether a group pulls or pops a topic. */
export interface RequestMode {
  readonly mode: MessageRequestMode
  /** With how many further members each member shares its queues; 0 or less: all members pop all queues. */
  readonly popShareQueueNum: number
}

/** The most topics and groups for which a mode is set. Apache has no limit. */
const MAX_MODES = 65_536

/** What operators have set with SET_MESSAGE_REQUEST_MODE: Apache's MessageRequestModeManager. */
export class RequestModes {
  readonly #modes = new Map<string, SetMessageRequestMode>()

  get(topic: string, group: string): RequestMode | undefined {
    return this.#modes.get(keyOf(topic, group))
  }

  /** @returns false if there are too many */
  set(mode: SetMessageRequestMode): boolean {
    const key = keyOf(mode.topic, mode.consumerGroup)
    if (this.#modes.size >= MAX_MODES && !this.#modes.has(key)) return false
    this.#modes.set(key, mode)
    return true
  }

  removeTopic(topic: string): void {
    for (const [key, mode] of this.#modes) if (mode.topic === topic) this.#modes.delete(key)
  }

  removeGroup(group: string): void {
    for (const [key, mode] of this.#modes) if (mode.consumerGroup === group) this.#modes.delete(key)
  }
}

function keyOf(topic: string, group: string): string {
  return `${topic}@${group}`
}

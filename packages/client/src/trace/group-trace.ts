import { unwrapNamespace } from '@gantrymq/protocol'
import type { Clock } from '@gantrymq/remoting'
import type { TraceDispatcher } from './dispatcher.ts'

const DEFAULT_REGION = 'DefaultRegion'

/** What the traces of producers and consumers share. They show all names without the namespace. */
export abstract class GroupTrace {
  protected readonly dispatcher: TraceDispatcher
  protected readonly clock: Clock
  protected readonly group: string
  readonly #namespace: string

  /** @param group With or without the namespace. */
  constructor(dispatcher: TraceDispatcher, clock: Clock, namespace: string, group: string) {
    this.dispatcher = dispatcher
    this.clock = clock
    this.group = unwrapNamespace(namespace, group)
    this.#namespace = namespace
  }

  /** The time, region and group of an entry. */
  protected head(region: string | undefined): { readonly at: number; readonly region: string; readonly group: string } {
    return { at: this.clock.now(), region: region ?? DEFAULT_REGION, group: this.group }
  }

  protected shown(topic: string): string {
    return unwrapNamespace(this.#namespace, topic)
  }

  /** Sends the remaining entries, for at most `drainMs`. Idempotent. */
  close(drainMs: number): Promise<void> {
    return this.dispatcher.close(drainMs)
  }
}

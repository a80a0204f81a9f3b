import type { Clock } from '@gantrymq/remoting'
import type { BrokerContext } from './context.ts'
import { DELIVERY_TICK_MS } from './delays/delayed-delivery.ts'
import type { DueMessages } from './due-messages.ts'
import { DUE_TICK_MS } from './due-sets.ts'
import type { UnansweredSends } from './fast/unanswered-sends.ts'
import type { NameServers } from './name-servers/name-servers.ts'
import type { OffsetFile } from './offsets/offset-file.ts'

export interface PeriodicParts {
  readonly context: BrokerContext
  readonly nameServers: NameServers
  readonly offsets: OffsetFile
  readonly due: DueMessages
  readonly unanswered: UnansweredSends
  readonly clock: Clock
}

/** How often the broker looks for clients that have been silent for too long (Apache's ClientHousekeepingService). */
const EXPIRY_CHECK_MS = 10_000
const LOCK_SWEEP_MS = 60_000

/** Everything that the broker does again and again. Owns the timers. */
export class PeriodicWork {
  readonly #timers: Disposable[] = []
  /** Those of requests that wait. */
  readonly #waits: Disposable[] = []

  /** Starts the timers, with the periods that the options have now. */
  start({ context, nameServers, offsets, due, unanswered, clock }: PeriodicParts): void {
    const { settings, store, heldPulls, popping, counts, locks } = context
    const {
      registerNameServerPeriod,
      flushConsumerOffsetInterval,
      flushDelayOffsetInterval,
      transactionCheckInterval,
    } = settings.options
    const every = (ms: number, tick: () => void): void => void this.#timers.push(clock.every(ms, tick))
    every(registerNameServerPeriod, () => void nameServers.registerAll())
    every(flushConsumerOffsetInterval, () => void offsets.save())
    every(DELIVERY_TICK_MS, () => due.delays.tick())
    every(DELIVERY_TICK_MS, () => due.checks.flushed(store.flushed))
    every(transactionCheckInterval, () => void due.checks.check())
    every(flushDelayOffsetInterval, () => due.delays.save())
    every(EXPIRY_CHECK_MS, () => dropSilentClients(context))
    if (popping !== undefined) every(DUE_TICK_MS, () => popping.tick())
    const { timers } = due
    if (timers !== undefined) every(DUE_TICK_MS, () => timers.tick())
    every(1000, () => counts.tick(new Date(clock.now()).getDate()))
    every(LOCK_SWEEP_MS, () => locks.sweep(clock.elapsed()))
    for (const requests of [heldPulls, unanswered]) {
      this.#waits.push(clock.every(DUE_TICK_MS, () => requests.tick(clock.elapsed())))
    }
  }

  /** Begins nothing more, but ends the waits of requests in time. What was begun is waited for by its owner. */
  stop(): void {
    for (const timer of this.#timers) timer[Symbol.dispose]()
  }

  /** No request waits any more. */
  end(): void {
    this.stop()
    for (const timer of this.#waits) timer[Symbol.dispose]()
  }
}

function dropSilentClients({ clients, clock, log }: BrokerContext): void {
  for (const peer of clients.expired(clock.elapsed())) {
    log.warn({ peer: peer.remoteAddress }, 'SCAN: remove expired channel')
    peer.destroy('idle')
  }
}

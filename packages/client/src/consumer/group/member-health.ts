import { isRetryTopic, type SubscriptionData, type TopicRoute, unwrapNamespace } from '@gantrymq/protocol'
import { printable, silent } from '@gantrymq/remoting'
import { Deadline } from '../../deadline.ts'
import { ClientError, isAccessRefusal, toClientError } from '../../errors.ts'
import type { ClientInstance } from '../../instance/client-instance.ts'
import type { InstanceOptions } from '../../instance/instance-options.ts'
import { type Problem, type ProblemCode, Problems } from '../../problems.ts'
import { readQueues, staticTopicProblem } from '../../routes/routes.ts'
import { PollHealth } from '../queue/poll-health.ts'
import { callUser } from '../rebalance/call-user.ts'
import { GroupCheck } from './group-check.ts'

/** Problems with which messages still arrive. */
const HARMLESS: ReadonlySet<ProblemCode> = new Set(['CLIENT_ID_TWICE', 'DIFFERENT_SUBSCRIPTIONS', 'OFFSETS_SHARED'])

/** Problems of one topic. */
const OF_TOPIC: readonly ProblemCode[] = ['TOPIC_MISSING', 'NOT_READABLE', 'NO_PERMISSION', 'GROUP_MISSING']

/** Whether a consumer gets messages, for probes of a service. */
export interface Readiness {
  readonly ready: boolean
  /** Why it is not ready; empty if it is. */
  readonly reason: string
  /** What is wrong now, also what does not keep messages away. */
  readonly problems: readonly Problem[]
}

export interface MemberHealthOptions extends Pick<InstanceOptions, 'namespace' | 'log'> {
  readonly instance: ClientInstance
  /** With its namespace. */
  readonly group: string
  /** What the member subscribes to, as its heartbeats say. */
  readonly subscriptions: () => readonly SubscriptionData[]
  /** Whether the member reads a topic: problems of others are none. */
  readonly reads: (topic: string) => boolean
  readonly onProblem: ((problem: Problem) => void) | undefined
}

/** What keeps a consumer from its messages: it learns of heartbeats, routes, polls and other members, and reports problems. */
export class MemberHealth {
  readonly problems: Problems
  /** How the polls of the member's queues end. */
  readonly polls: PollHealth
  readonly #options: MemberHealthOptions
  readonly #groupCheck: GroupCheck
  /** The ends of the last heartbeats to the brokers, by address: the error, or undefined if the broker took it. */
  readonly #heartbeats = new Map<string, ClientError | undefined>()
  /** True if a broker has taken a heartbeat of this member. */
  #isAdmitted = false
  #isClosed = false

  constructor(options: MemberHealthOptions) {
    const { instance, group, subscriptions, reads } = options
    this.#options = options
    this.problems = new Problems(problem => this.#report(problem))
    const { problems } = this
    this.#groupCheck = new GroupCheck({
      instance,
      group,
      problems,
      subscriptions,
      admits: address => this.#heartbeats.has(address) && this.#heartbeats.get(address) === undefined,
    })
    this.polls = new PollHealth({
      clock: instance.clock,
      problems,
      reads,
      shown: topic => this.#shown(topic),
      onOtherSubscription: () => void this.lookAtGroup(),
    })
  }

  #shown(name: string): string {
    return unwrapNamespace(this.#options.namespace, name)
  }

  #report(problem: Problem): void {
    if (this.#isClosed) return
    const { onProblem, log, instance, group } = this.#options
    const { code, message, subject } = problem
    instance.log.warn({ group, code, subject }, message)
    if (onProblem !== undefined) callUser(instance.log, subject, () => onProblem(problem), 'option onProblem')
    else if (log === silent)
      process.stderr.write(`gantrymq: consumer of group ${this.#shown(group)}: ${code}: ${printable(message)}\n`)
  }

  /** Whether the consumer gets messages, as far as it knows. @param isBalanced whether it has the queues that are its own */
  readiness(isBalanced: boolean): Readiness {
    const { all: problems } = this.problems
    const blocking = problems.find(({ code }) => !HARMLESS.has(code))
    const reason = this.#isClosed ? 'it is closed' : (blocking?.message ?? this.#notYet(isBalanced))
    return { ready: reason === '', reason, problems }
  }

  #notYet(isBalanced: boolean): string {
    if (!this.#isAdmitted) return 'no broker has taken its heartbeat yet'
    return isBalanced ? '' : 'its queues have not been assigned yet'
  }

  /** Looks at the members of the group. True if it should look again in TWICE_AGAIN_MS. Never rejects. */
  lookAtGroup(): Promise<boolean> {
    return this.#groupCheck.look()
  }

  /** A heartbeat to a broker has ended. */
  heartbeatEnded(address: string, error: unknown): void {
    if (this.#isClosed) return
    this.#heartbeats.set(address, error === undefined ? undefined : toClientError(error, address))
    const all = this.#options.instance.brokers.all().map(broker => broker.address)
    this.#forgetOthers(new Set(all))
    if (error === undefined) {
      this.#isAdmitted = true
      this.problems.clear('NO_BROKER')
      this.problems.clear('NO_PERMISSION')
      return
    }
    const refusals = all.map(each => this.#heartbeats.get(each)).filter(each => each !== undefined)
    const [first] = refusals
    if (first === undefined || refusals.length < all.length) return
    const code = isAccessRefusal(first) ? 'NO_PERMISSION' : 'NO_BROKER'
    if (code === 'NO_PERMISSION') this.problems.raise(code, `no broker lets this consumer in: ${first.message}`)
    else this.problems.raise(code, `no broker takes the heartbeat of this consumer: ${first.message}`)
  }

  // What a broker said before it left says nothing about one that comes to its address.
  #forgetOthers(addresses: ReadonlySet<string>): void {
    for (const address of this.#heartbeats.keys()) if (!addresses.has(address)) this.#heartbeats.delete(address)
  }

  /** A topic was looked up, and there is no route. Never rejects. */
  async missing(topic: string, error: unknown): Promise<void> {
    const { routes, clock, options } = this.#options.instance
    if (isRetryTopic(topic) || !(error instanceof ClientError) || error.code !== 'ROUTE_MISSING') return
    const explained = await routes.explained(topic, error, new Deadline(clock, options.requestTimeoutMs))
    if (this.#isClosed || !this.#options.reads(topic) || routes.peek(topic) !== undefined) return
    const name = this.#shown(topic)
    this.problems.raise(
      'TOPIC_MISSING',
      `there are no messages of ${name} to read: ${toClientError(explained).message}`,
      name,
    )
  }

  /** There is a route of a topic. */
  routed(topic: string, route: TopicRoute): void {
    if (isRetryTopic(topic)) return
    const name = this.#shown(topic)
    this.problems.clear('TOPIC_MISSING', name)
    if (readQueues(topic, route).length > 0 || staticTopicProblem(topic, route) !== null) {
      this.problems.clear('NOT_READABLE', name)
      return
    }
    const perms = route.queueDatas.map(
      ({ brokerName, perm, readQueueNums }) =>
        `${brokerName} has permission ${perm} and ${readQueueNums} queues to read`,
    )
    const text = `no queue of ${name} can be read: ${perms.join(', ') || 'it has none'}. Give the topic permission to read (mqadmin updateTopicPerm; 4 is read, 2 write, 6 both) and queues to read`
    this.problems.raise('NOT_READABLE', text, name)
  }

  /** The consumer reads a topic no more. */
  unsubscribed(topic: string): void {
    for (const code of OF_TOPIC) this.problems.clear(code, this.#shown(topic))
  }

  /** From now on nothing is reported. */
  close(): void {
    this.#isClosed = true
  }
}

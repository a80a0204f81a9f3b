import { inSlices } from '@gantrymq/daemon'
import { MASTER_ID } from '@gantrymq/protocol'
import { printable, type Sliced } from '@gantrymq/remoting'
import { findingsOfRoute } from '../diagnosis/existing-route.ts'
import type { DiagnosisCode, Finding, Inquiry } from '../diagnosis/finding.ts'
import { findingsOfMissing } from '../diagnosis/missing-topic.ts'
import type { BrokerView } from '../registry/broker-changes.ts'
import type { NameServerStatus } from '../status.ts'

export interface Diagnosis {
  readonly topic: string
  readonly code: DiagnosisCode
  /** For people: what the name server found. */
  readonly message: string
  /** For people: what to do, most likely cause first, then what else was found. */
  readonly hints: readonly string[]
}

/** What a name server cannot know. */
const ELSEWHERE =
  'A broker that /api/v1/brokers does not list may be registered at another name server: compare namesrvAddr of brokers and clients with the address of this one.'

/**
 * Explains why a client gets "No route info of this topic", or cannot use the route that it gets. Reads all brokers, and all
 * topics if this one is missing, so it works in slices.
 * @param zone The zone of the client that asks, if it is in zone mode.
 */
export function* explain(topic: string, status: NameServerStatus, now: number, zone?: string): Sliced<Diagnosis> {
  const brokers: BrokerView[] = []
  yield* inSlices(status.brokers(), broker => brokers.push(broker))
  const findings = yield* findingsOf({ topic, zone, status, brokers, now })
  const first = findings.find(({ code }) => code !== undefined)
  const rest = findings.filter(finding => finding !== first).flatMap(({ message, hints }) => [message, ...hints])
  const { code = 'FOUND', message = foundMessage(topic, status) } = first ?? {}
  const hints = new Set([...(first?.hints ?? []), ...rest, ELSEWHERE])
  return { topic, code, message: printable(message), hints: Array.from(hints, printable) }
}

function* findingsOf(inquiry: Inquiry): Sliced<Finding[]> {
  const { topic, status } = inquiry
  const readiness = status.readiness()
  const route = status.route(topic)
  const findings = route ? findingsOfRoute(route, inquiry) : yield* findingsOfMissing(inquiry)
  if (readiness.ready) return findings
  const message = `This name server answers no route query: ${readiness.reason}.`
  const hints = ['Clients keep the routes that they have and try again; other name servers may already answer.']
  return [{ code: 'NOT_READY', message, hints }, ...(route ? findings : [])]
}

function foundMessage(topic: string, status: NameServerStatus): string {
  const brokers = status.route(topic)?.brokerDatas ?? []
  const withMaster = brokers.filter(broker => broker.brokerAddrs.has(MASTER_ID))
  return `The topic has a route: ${brokers.length} ${brokers.length === 1 ? 'broker' : 'brokers'}, ${withMaster.length} with a master.`
}

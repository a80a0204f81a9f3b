// Reads the files of deploy/ for their test.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'

export type Texts = Readonly<Record<string, string>>

export const readDeployed = (file: string) => readFileSync(join('deploy', file), 'utf8')
export const readYaml = (file: string): unknown => parse(readDeployed(file), { merge: true })

/** What deploy/ has for each program: a stage of the Dockerfile, a StatefulSet, and a unit of systemd. */
export interface Deployed {
  readonly program: 'mqnamesrv' | 'mqbroker'
  readonly stage: string
  readonly manifest: string
  readonly unit: string
}

export const nameServer: Deployed = {
  program: 'mqnamesrv',
  stage: 'namesrv',
  manifest: 'kubernetes/name-server.yaml',
  unit: 'systemd/mqnamesrv.service',
}
export const broker: Deployed = {
  program: 'mqbroker',
  stage: 'broker',
  manifest: 'kubernetes/broker.yaml',
  unit: 'systemd/mqbroker.service',
}

interface Instruction {
  readonly word: string
  readonly text: string
}

interface Stage {
  readonly name: string
  /** The image or the stage that it begins with. */
  readonly from: string
  readonly instructions: readonly Instruction[]
}

/** The stages of the Dockerfile, continued lines joined. */
export function stages(): Stage[] {
  const lines = readDeployed('Dockerfile')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
  const found: { name: string; from: string; instructions: Instruction[] }[] = []
  for (const line of lines.filter(each => each !== '' && !each.startsWith('#'))) {
    const [word = ''] = line.split(' ', 1)
    const text = line.slice(word.length + 1)
    const [from = '', , name = ''] = text.split(' ')
    if (word === 'FROM') found.push({ name, from, instructions: [] })
    else found.at(-1)?.instructions.push({ word, text })
  }
  return found
}

/** What follows each instruction of a kind, `ENV` for example, in a stage and in those that it begins with. */
export function allOf(stageName: string, word: string): string[] {
  const stage = stages().find(({ name }) => name === stageName)
  if (stage === undefined) return []
  const own = stage.instructions.filter(each => each.word === word)
  return [...allOf(stage.from, word), ...own.map(({ text }) => text)]
}

/** The command of an image. */
export function entrypoint({ stage }: Deployed): string[] {
  return JSON.parse(allOf(stage, 'ENTRYPOINT').at(-1) ?? '[]') as string[]
}

export function imageEnvironment({ stage }: Deployed): Texts {
  return Object.fromEntries(allOf(stage, 'ENV').map(pairOf))
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf('=')
  return [text.slice(0, at), text.slice(at + 1)]
}

interface ComposeService {
  readonly environment?: Texts
  readonly build?: { readonly context: string; readonly dockerfile: string; readonly target: string }
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly configs?: readonly { readonly source: string }[]
  readonly depends_on?: Readonly<Record<string, unknown>>
}

export interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>
  readonly configs: Readonly<Record<string, { readonly content: string }>>
  readonly volumes: Readonly<Record<string, unknown>>
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string }
}

interface NamedPort {
  readonly name: string
  readonly containerPort?: number
  readonly port?: number
}

/** A variable of a container, with its value or the field of the pod that it has. */
interface Variable {
  readonly name: string
  readonly value?: string
  readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } }
}

/** What Kubernetes puts for the fields of a pod. */
const POD_FIELDS: Texts = { 'metadata.name': 'broker-1', 'status.podIP': '10.1.2.3' }

interface KubernetesObject {
  readonly kind: string
  readonly metadata: { readonly name: string }
  readonly spec: {
    readonly selector: Texts & { readonly matchLabels?: Texts }
    readonly ports?: readonly NamedPort[]
    readonly volumeClaimTemplates?: readonly { readonly metadata: { readonly name: string } }[]
    readonly template?: {
      readonly metadata: { readonly labels: Texts }
      readonly spec: {
        readonly terminationGracePeriodSeconds: number
        readonly containers: readonly [
          {
            readonly env: readonly Variable[]
            readonly ports: readonly NamedPort[]
            readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string }[]
            readonly startupProbe?: Probe
            readonly livenessProbe: Probe
            readonly readinessProbe: Probe
          },
        ]
      }
    }
  }
}

export const kubernetes = ({ manifest }: Deployed) =>
  parseAllDocuments(readDeployed(manifest)).map(each => each.toJS() as KubernetesObject)

/** The pod of a program, the environment of its container, and its volumes. */
export function pod(deployed: Deployed) {
  const spec = kubernetes(deployed).find(({ kind }) => kind === 'StatefulSet')?.spec
  if (spec?.template === undefined) throw new Error(`deploy/${deployed.manifest} has no StatefulSet`)
  const [container] = spec.template.spec.containers
  const environment = Object.fromEntries(container.env.map(each => [each.name, valueOf(each)]))
  const volumes = (spec.volumeClaimTemplates ?? []).map(({ metadata }) => metadata.name)
  return { ...spec.template, container, volumes, environment: { ...imageEnvironment(deployed), ...environment } }
}

function valueOf({ name, value, valueFrom }: Variable): string {
  const found = value ?? POD_FIELDS[valueFrom?.fieldRef.fieldPath ?? '']
  if (found === undefined) throw new Error(`the variable ${name} has no value`)
  return found
}

/** The keys of a unit of systemd, each with all its values. */
export function unit({ unit: file }: Deployed): Map<string, string[]> {
  const lines = readDeployed(file).split('\n')
  const values = new Map<string, string[]>()
  for (const line of lines.filter(each => /^[A-Z]\w+=/.test(each))) {
    const [key, value] = pairOf(line)
    values.set(key, [...(values.get(key) ?? []), value])
  }
  return values
}

export function unitEnvironment(deployed: Deployed): Texts {
  return Object.fromEntries((unit(deployed).get('Environment') ?? []).map(pairOf))
}

// Reads the files of deploy/ for their test.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse, parseAllDocuments } from 'yaml'

export type Texts = Readonly<Record<string, string>>

export const readDeployed = (file: string) => readFileSync(join('deploy', file), 'utf8')
export const readYaml = (file: string): unknown => parse(readDeployed(file), { merge: true })

interface Instruction {
  readonly word: string
  readonly text: string
}

/** The instructions of the Dockerfile, continued lines joined. */
function dockerfile(): Instruction[] {
  const lines = readDeployed('Dockerfile')
    .replaceAll(/\\\n\s*/g, '')
    .split('\n')
  const instructions = lines.filter(line => line !== '' && !line.startsWith('#'))
  return instructions.map(line => {
    const [word = ''] = line.split(' ', 1)
    return { word, text: line.slice(word.length + 1) }
  })
}

/** What follows each instruction of a kind: `FROM`, for example. */
export function allOf(word: string): string[] {
  const chosen = dockerfile().filter(each => each.word === word)
  return chosen.map(({ text }) => text)
}

export function imageEnvironment(): Texts {
  return Object.fromEntries(allOf('ENV').map(pairOf))
}

function pairOf(text: string): [string, string] {
  const at = text.indexOf('=')
  return [text.slice(0, at), text.slice(at + 1)]
}

interface ComposeService {
  readonly environment?: Texts
  readonly build?: { readonly context: string; readonly dockerfile: string }
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

interface KubernetesObject {
  readonly kind: string
  readonly spec: {
    readonly selector: Texts & { readonly matchLabels?: Texts }
    readonly ports?: readonly NamedPort[]
    readonly template?: {
      readonly metadata: { readonly labels: Texts }
      readonly spec: {
        readonly terminationGracePeriodSeconds: number
        readonly containers: readonly [
          {
            readonly env: readonly { readonly name: string; readonly value: string }[]
            readonly ports: readonly NamedPort[]
            readonly livenessProbe: Probe
            readonly readinessProbe: Probe
          },
        ]
      }
    }
  }
}

export const kubernetes = () =>
  parseAllDocuments(readDeployed('kubernetes/name-server.yaml')).map(each => each.toJS() as KubernetesObject)

/** The pod of the name servers, and the environment of its container. */
export function pod() {
  const template = kubernetes().find(({ kind }) => kind === 'StatefulSet')?.spec.template
  if (template === undefined) throw new Error('deploy/kubernetes/name-server.yaml has no StatefulSet')
  const [container] = template.spec.containers
  const environment = Object.fromEntries(container.env.map(({ name, value }) => [name, value]))
  return { ...template, container, environment: { ...imageEnvironment(), ...environment } }
}

/** The keys of the systemd unit, each with all its values. */
export function unit(): Map<string, string[]> {
  const lines = readDeployed('systemd/mqnamesrv.service').split('\n')
  const values = new Map<string, string[]>()
  for (const line of lines.filter(each => /^[A-Z]\w+=/.test(each))) {
    const [key, value] = pairOf(line)
    values.set(key, [...(values.get(key) ?? []), value])
  }
  return values
}

export function unitEnvironment(): Texts {
  return Object.fromEntries((unit().get('Environment') ?? []).map(pairOf))
}

import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Owner } from '../launch/launched-program.ts'
import { temporaryFolder } from '../launch/launcher.ts'

const run = promisify(execFile)
const OPENSSL_DEADLINE_MS = 30_000

/** A certificate and its key, as files and as text. */
export interface Certificate {
  readonly certPath: string
  readonly keyPath: string
  readonly cert: string
  readonly key: string
}

/** A certificate authority and the certificates that it has signed. */
export interface Certificates {
  readonly authority: Certificate
  /** For 127.0.0.1. */
  readonly server: Certificate
  readonly client: Certificate
}

const openssl = (folder: string, ...args: string[]) =>
  run('openssl', args, { cwd: folder, timeout: OPENSSL_DEADLINE_MS })

async function read(folder: string, name: string): Promise<Certificate> {
  const certPath = join(folder, `${name}.pem`)
  const keyPath = join(folder, `${name}.key`)
  return { certPath, keyPath, cert: await readFile(certPath, 'utf8'), key: await readFile(keyPath, 'utf8') }
}

async function makeAuthority(folder: string, name: string): Promise<Certificate> {
  const key = ['-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`]
  await openssl(folder, 'req', '-x509', ...key, '-out', `${name}.pem`, '-days', '2', '-subj', `/CN=${name}`)
  return read(folder, name)
}

async function sign(folder: string, name: string): Promise<Certificate> {
  const request = ['-newkey', 'rsa:2048', '-nodes', '-keyout', `${name}.key`, '-out', `${name}.csr`]
  await openssl(folder, 'req', ...request, '-subj', `/CN=${name}`)
  await writeFile(join(folder, `${name}.ext`), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
  const by = ['-CA', 'authority.pem', '-CAkey', 'authority.key', '-CAcreateserial', '-extfile', `${name}.ext`]
  await openssl(folder, 'x509', '-req', '-in', `${name}.csr`, ...by, '-out', `${name}.pem`, '-days', '2')
  return read(folder, name)
}

/** Creates certificates that are deleted when their owner has finished. */
export async function makeCertificates(owner: Owner): Promise<Certificates> {
  const folder = await temporaryFolder(owner)
  const authority = await makeAuthority(folder, 'authority')
  return { authority, server: await sign(folder, 'server'), client: await sign(folder, 'client') }
}

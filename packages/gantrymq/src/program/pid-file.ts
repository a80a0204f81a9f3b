import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isAlive } from '@gantrymq/daemon'

/** The processes a pid file names that are alive, one a line. Empty if there is no such file. */
export async function readPids(path: string): Promise<number[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.split(/\s+/).filter(word => /^[1-9]\d{0,9}$/.test(word)).map(Number).filter(isAlive) // biome-ignore format: one thought
}

/** Adds a process to the file, beside others of the same user. Folders are made. */
export async function addPid(path: string, pid: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writePids(path, [...(await readPids(path)).filter(other => other !== pid), pid])
}

/** Takes a process out of the file, and the file away if it was the last. Never fails. */
export async function removePid(path: string, pid: number): Promise<void> {
  const others = (await readPids(path)).filter(other => other !== pid)
  await (others.length === 0 ? rm(path, { force: true }) : writePids(path, others)).catch(() => {})
}

function writePids(path: string, pids: readonly number[]): Promise<void> {
  return writeFile(path, `${pids.join('\n')}\n`)
}

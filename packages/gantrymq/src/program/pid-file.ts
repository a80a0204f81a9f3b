import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { isAlive } from '@gantrymq/daemon'

/** The live processes that a pid file names. Empty if there is no such file. */
export async function readPids(path: string): Promise<number[]> {
  const text = await readFile(path, 'utf8').catch(() => '')
  return text.split(/\s+/).filter(word => /^[1-9]\d{0,9}$/.test(word)).map(Number).filter(isAlive) // biome-ignore format: one thought
}

/** Adds a process to the file, which may have others of the same user. Missing folders are created. */
export async function addPid(path: string, pid: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  await writePids(path, [...(await readPids(path)).filter(other => other !== pid), pid])
}

/** Removes a process from the file, and the file if it was the last one. Never fails. */
export async function removePid(path: string, pid: number): Promise<void> {
  const others = (await readPids(path)).filter(other => other !== pid)
  await (others.length === 0 ? rm(path, { force: true }) : writePids(path, others)).catch(() => {})
}

function writePids(path: string, pids: readonly number[]): Promise<void> {
  return writeFile(path, `${pids.join('\n')}\n`)
}

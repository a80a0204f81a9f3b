import * as files from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** The calls on the file system that the order of a durable write depends on; a test may watch them. */
export type FileSystem = Pick<
  typeof files,
  'copyFile' | 'link' | 'mkdir' | 'open' | 'realpath' | 'rename' | 'rm' | 'stat'
>

let counter = 0

/**
 * Replaces a file as a whole: whatever happens, it is the old one or the new one, and when this is done the new one
 * survives a loss of power. What was there before stays in `<file>.bak`, as Apache leaves it. Folders are made.
 * @throws the error of the file system; the file is then what it was.
 */
export async function replaceFile(path: string, content: string | Uint8Array, fs: FileSystem = files): Promise<void> {
  const target = await realPath(path, fs)
  const folder = dirname(target)
  await fs.mkdir(folder, { recursive: true })
  const temporary = `${target}.${process.pid}-${counter++}.new`
  try {
    await writeDurably(temporary, content, await modeOf(target, fs), fs)
    await keepPrevious(target, fs)
    await fs.rename(temporary, target)
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => {})
    throw error
  }
  await syncFolder(folder, fs)
}

/** Renames a file to a name that is not taken: `<file>.<word>-<time>`. @returns that name. */
export async function moveAside(path: string, word: string, now: number): Promise<string> {
  const aside = await freeName(path, word, now)
  await files.rename(path, aside)
  return aside
}

/** Gives a file a second name that is not taken, so that its content outlives a replacement. @returns that name. */
export async function keepAside(path: string, word: string, now: number): Promise<string> {
  const aside = await freeName(path, word, now)
  await linkOrCopy(path, aside, files)
  return aside
}

async function freeName(path: string, word: string, now: number): Promise<string> {
  const stamp = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '')
  for (let attempt = 0; ; attempt++) {
    const name = `${path}.${word}-${stamp}${attempt === 0 ? '' : `-${attempt}`}`
    if (!(await isThere(name))) return name
  }
}

/** Removes what writers left that died before their rename. */
export async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path)
  const prefix = `${basename(path)}.`
  for (const name of await files.readdir(folder).catch(() => [])) {
    const writer = name.startsWith(prefix) ? /^(\d+)-\d+\.new$/.exec(name.slice(prefix.length))?.[1] : undefined
    if (writer !== undefined && !isAlive(Number(writer))) await files.rm(join(folder, name), { force: true })
  }
}

/** Whether a process of this number runs, of any user. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

async function isThere(path: string): Promise<boolean> {
  return files.lstat(path).then(
    () => true,
    () => false,
  )
}

// A rename would put a file in the place of a symbolic link.
function realPath(path: string, fs: FileSystem): Promise<string> {
  return fs.realpath(path).catch(() => path)
}

async function modeOf(path: string, fs: FileSystem): Promise<number> {
  return fs.stat(path).then(
    found => found.mode & 0o777,
    () => 0o644,
  )
}

async function writeDurably(path: string, content: string | Uint8Array, mode: number, fs: FileSystem): Promise<void> {
  const file = await fs.open(path, 'w', mode)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

// A second name for the old content, so that there is no moment without the file. Where there is none, an earlier
// backup stays: it may be all there is.
async function keepPrevious(path: string, fs: FileSystem): Promise<void> {
  const previous = `${path}.bak`
  const passing = `${path}.${process.pid}-${counter++}.new`
  try {
    await linkOrCopy(path, passing, fs)
    await fs.rename(passing, previous)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  } finally {
    // A rename between two names of one file leaves both.
    await fs.rm(passing, { force: true })
  }
}

// Not every file system knows links.
function linkOrCopy(from: string, to: string, fs: FileSystem): Promise<void> {
  return fs.link(from, to).catch(() => fs.copyFile(from, to))
}

async function syncFolder(path: string, fs: FileSystem): Promise<void> {
  // Windows cannot open a folder; it does not need to.
  if (process.platform === 'win32') return
  const folder = await fs.open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

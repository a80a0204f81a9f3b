import * as files from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** The file system calls of a durable write, whose order matters; a test may record them. */
export type FileSystem = Pick<
  typeof files,
  'copyFile' | 'link' | 'mkdir' | 'open' | 'realpath' | 'rename' | 'rm' | 'stat'
>

/** What loading a table needs of the place where its file is: the machine's file system, or the disk of a store. */
export interface TableFiles {
  /** Undefined if there is no such file. @throws the error of the file system */
  read(path: string): Promise<Uint8Array | undefined>
  exists(path: string): Promise<boolean>
  rename(from: string, to: string): Promise<void>
  /** Replaces a file as a whole and durably, and keeps the previous content in `<file>.bak`. */
  replace(path: string, content: string | Uint8Array): Promise<void>
  /** Removes a file, if there is one. */
  remove(path: string): Promise<void>
  /** Removes the temporary files of processes that ended while they replaced the file. */
  removeLeftovers(path: string): Promise<void>
}

/** The machine's file system. */
export const machineFiles: TableFiles = {
  read: path =>
    files.readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined
      throw error
    }),
  exists: isThere,
  rename: files.rename,
  replace: (path, content) => replaceFile(path, content),
  remove: path => files.rm(path, { force: true }),
  removeLeftovers,
}

let counter = 0

/**
 * Replaces a file as a whole: whatever happens, the file has the old or the new content, and once the promise resolves
 * the new content survives a power failure. The previous content stays in `<file>.bak`, as with Apache. Missing folders
 * are created.
 * @throws the error of the file system; the file is then unchanged.
 */
export async function replaceFile(
  path: string,
  content: string | Uint8Array | readonly Uint8Array[],
  fs: FileSystem = files,
): Promise<void> {
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

/** Renames a file to an unused name: `<file>.<word>-<time>`. @returns that name. */
export async function moveAside(path: string, word: string, now: number, of: TableFiles): Promise<string> {
  const aside = await freeName(path, word, now, of)
  await of.rename(path, aside)
  return aside
}

/** Keeps the content of a file under a second, unused name, for when the file is replaced. @returns that name. */
export async function keepAside(path: string, word: string, now: number): Promise<string> {
  const aside = await freeName(path, word, now, machineFiles)
  await linkOrCopy(path, aside, files)
  return aside
}

async function freeName(path: string, word: string, now: number, of: TableFiles): Promise<string> {
  const stamp = new Date(now).toISOString().replace(/[-:]|\.\d+/g, '')
  for (let attempt = 0; ; attempt++) {
    const name = `${path}.${word}-${stamp}${attempt === 0 ? '' : `-${attempt}`}`
    if (!(await of.exists(name))) return name
  }
}

async function removeLeftovers(path: string): Promise<void> {
  const folder = dirname(path)
  const prefix = `${basename(path)}.`
  for (const name of await files.readdir(folder).catch(() => [])) {
    const writer = name.startsWith(prefix) ? /^(\d+)-\d+\.new$/.exec(name.slice(prefix.length))?.[1] : undefined
    if (writer !== undefined && !isAlive(Number(writer))) await files.rm(join(folder, name), { force: true })
  }
}

/** Whether a process with this id runs, whichever user owns it. */
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

// A rename would replace a symbolic link by a file.
function realPath(path: string, fs: FileSystem): Promise<string> {
  return fs.realpath(path).catch(() => path)
}

/** Undefined if there is no such file. */
function modeOf(path: string, fs: FileSystem): Promise<number | undefined> {
  return fs.stat(path).then(
    found => found.mode & 0o777,
    () => undefined,
  )
}

async function writeDurably(
  path: string,
  content: string | Uint8Array | readonly Uint8Array[],
  mode: number | undefined,
  fs: FileSystem,
): Promise<void> {
  const file = await fs.open(path, 'w', mode ?? 0o644)
  try {
    // The umask, which is for new files, has taken its bits from the mode. Not every file system has modes.
    if (mode !== undefined) await file.chmod(mode).catch(() => {})
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
}

// Gives the old content a second name, so that the file exists at every moment. If there is no old content, an earlier
// backup stays: it may be the only copy.
async function keepPrevious(path: string, fs: FileSystem): Promise<void> {
  const previous = `${path}.bak`
  const passing = `${path}.${process.pid}-${counter++}.new`
  try {
    await linkOrCopy(path, passing, fs)
    await fs.rename(passing, previous)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  } finally {
    // A rename between two names of the same file leaves both.
    await fs.rm(passing, { force: true })
  }
}

// Not every file system has links.
function linkOrCopy(from: string, to: string, fs: FileSystem): Promise<void> {
  return fs.link(from, to).catch(() => fs.copyFile(from, to))
}

async function syncFolder(path: string, fs: FileSystem): Promise<void> {
  // Windows cannot open a folder, and does not need to.
  if (process.platform === 'win32') return
  const folder = await fs.open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

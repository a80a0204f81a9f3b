import { readFile } from 'node:fs/promises'
import { replaceFile } from '../files/replace-file.ts'
import { editProperties } from './properties-edit.ts'

/**
 * Stores changed keys in a `.properties` file, which may have been edited or not exist yet. The previous state stays
 * in `<file>.bak`.
 */
export function storeInFile(path: string): (updates: ReadonlyMap<string, string>) => Promise<void> {
  return async updates => {
    const file = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return Buffer.alloc(0)
      throw error
    })
    await replaceFile(path, editProperties(file, updates))
  }
}

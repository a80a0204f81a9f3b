import { posix } from 'node:path'

/**
 * Where the project is published, for the manifests and the links of the packages: `https://HOST/OWNER/NAME`. Until it is
 * filled in, packages have no such fields, and no links to files outside of them.
 */
export const PROJECT_ADDRESS: string | undefined = undefined

/** The fields of a manifest that say where the project is. */
export function addressFields(folder: string, address: string | undefined): object {
  if (address === undefined) return {}
  return {
    homepage: `${address}/tree/main/packages/${folder}#readme`,
    repository: { type: 'git', url: `git+${address}.git`, directory: `packages/${folder}` },
    bugs: { url: `${address}/issues` },
  }
}

/** A README as its package ships it: links to files that the package does not have lead to the project, or become plain text. */
export function shippedReadme(text: string, folder: string, address: string | undefined): string {
  return text.replaceAll(/\[([^\]]*)\]\((\.[^)\s]*)\)/g, (_link, title: string, target: string) => {
    const path = posix.join('packages', folder, target)
    return address === undefined ? title : `[${title}](${address}/blob/main/${path})`
  })
}

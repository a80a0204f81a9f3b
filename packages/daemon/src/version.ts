/** The release of all server programs, as the package.json of this package says it. */
export const VERSION = '0.1.0'

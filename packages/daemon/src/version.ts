/** The release of all server programs, which is that in the package.json of this package. */
export const VERSION = '0.1.0'

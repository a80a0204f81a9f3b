/*
 * Loading node:tls, node:crypto and node:dns takes 5 MB and 10 ms, and most processes never need them. So they are loaded at their
 * first use, but not by `import()`, which would make each use asynchronous and read all exports of the modules.
 */

export const crypto = () => process.getBuiltinModule('node:crypto')
export const dns = () => process.getBuiltinModule('node:dns').promises
export const tls = () => process.getBuiltinModule('node:tls')

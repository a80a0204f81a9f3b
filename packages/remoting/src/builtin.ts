/*
 * node:tls and node:crypto take 5 MB and 10 ms, and most processes never need them. So they are not imported but
 * asked for at their first use; `import()` would make each of those uses wait, and read all their exports.
 */

export const crypto = () => process.getBuiltinModule('node:crypto')
export const tls = () => process.getBuiltinModule('node:tls')

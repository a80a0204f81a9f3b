/** Why a case cannot run with our broker. `refusals` checks that the broker says so itself. */
export const notServed = {
  sql: 'our broker does not filter by SQL92',
  accounts: 'our broker has no access control',
  slaves: 'our broker has no slaves',
  staticTopics: 'our broker has no static topics',
} as const

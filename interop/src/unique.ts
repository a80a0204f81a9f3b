let lastNumber = 0

/** Returns a number that no other case of this process has. */
export const nextNumber = () => ++lastNumber

/** Returns a name that no other case of this process has. */
export const unique = (word: string) => `${word}-${nextNumber()}`

/** Returns a broker address that no other case of this process has. */
export function uniqueAddress(): string {
  const number = nextNumber()
  return `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}:10911`
}

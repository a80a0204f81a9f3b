let lastNumber = 0

/** A number that no other case of this process has. */
export const nextNumber = () => ++lastNumber

/** A name that no other case of this process has. */
export const unique = (word: string) => `${word}-${nextNumber()}`

/** An address that no other broker has. */
export function uniqueAddress(): string {
  const number = nextNumber()
  return `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}:10911`
}

import { RemotingError } from '@gantrymq/remoting'

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const LEVEL = /^(\d{1,9})([smhd])$/

/**
 * The delays of the levels 1, 2, and so on, milliseconds: Apache's ScheduleMessageService.parseDelayLevel.
 * @param text `1s 5s 10s`: the option messageDelayLevel.
 * @throws RemotingError BAD_OPTION
 */
export function readDelayLevels(text: string): readonly number[] {
  return text.trim().split(/ +/).map(level => {
    const [, count, unit] = LEVEL.exec(level) ?? []
    if (count === undefined || unit === undefined) {
      const message = `messageDelayLevel=${text}: ${JSON.stringify(level)} is not a number with s, m, h or d`
      throw new RemotingError('BAD_OPTION', message)
    }
    return Number(count) * (UNITS[unit] ?? 0)
  }) // biome-ignore format: one thought
}

import {
  type Driver,
  type DriverKind,
  type Figures,
  findDriver,
  type Load,
  type RunningLoad,
  startLoad,
} from '../harness/drive.ts'

const MOST_REFUSED = 0.01

export function findBrokerDriver(wanted?: DriverKind): Promise<Driver> {
  return findDriver(new URL('.', import.meta.url), wanted)
}

/** Loads a broker. `figures` rejects if the broker refuses more than one request in a hundred. */
export function startBrokerLoad(driver: Driver, load: Load): RunningLoad {
  const running = startLoad(driver, load)
  const figures = running.figures.then(checked)
  figures.catch(() => {})
  return { ...running, figures }
}

function checked(figures: Figures): Figures {
  const { refused, answers, complaint } = figures
  if (refused > MOST_REFUSED * (answers + refused))
    throw new Error(`the broker refused ${refused} of ${answers + refused} requests: ${complaint}`)
  return figures
}

// npm run bench [-- options] [words]; see README.md in this folder, or --help.
import { parseArgs } from 'node:util'
import type { BenchOptions } from './harness/options.ts'

const help = `npm run bench -- [options] [words]

Loads our name server, Apache's if Java and its jars are there, and a bare Node server, and compares them.
Words select cases by parts of their names, for example: route 16x16
The word storm runs only the storm: 300 brokers with 10,000 topics register and hang up, while 200 clients ask.
The word client loads clients instead: ours, Apache's for Java, and ali-ons, with one broker of Apache. The words after it
select its cases, for example: client send-128
The word broker loads brokers instead: ours and Apache's 4.9.7 and 5.5.0. The words after it select its cases, for example:
broker send-128-16x16 start. Only its words restart and memory fill the disk; --large adds both.

  --quick             a few cases in a minute; of the name servers without Apache's
  --all               the cases without a goal, too
  --micro             the benchmarks of single functions only
  --subjects LIST     some of ours,apache,bare; for client: ours,java,java-async,ali-ons;
                      for broker: ours,apache-4.9.7,apache-5.5.0
  --seconds N         how long to measure in each round (1.5)
  --rounds N          number of rounds; their median counts (3)
  --driver c|node     the C driver needs cc; default: c if it compiles
  --program FILE      the mqnamesrv to measure; default: ours, compiled as it is published
  --save              store the figures in baseline.json
  --messages N        client, broker: number of messages in the memory cases (10000000)
  --large             broker: also start after kill -9 with a large log, and memory over many messages
  --gb N              broker: size of that log (10)
  --json FILE         write all figures
  --profile SUBJECT   run the cases once with Node's profiler and write .cpuprofile files
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    all: { type: 'boolean', default: false },
    large: { type: 'boolean', default: false },
    micro: { type: 'boolean', default: false },
    subjects: { type: 'string' },
    seconds: { type: 'string' },
    rounds: { type: 'string' },
    driver: { type: 'string' },
    program: { type: 'string' },
    save: { type: 'boolean', default: false },
    messages: { type: 'string' },
    gb: { type: 'string' },
    json: { type: 'string' },
    profile: { type: 'string' },
  },
})

type NumberOption = 'seconds' | 'rounds' | 'messages' | 'gb'

function positive(option: NumberOption): number | undefined {
  if (values[option] === undefined) return undefined
  const value = Number(values[option])
  if (!(value > 0)) throw new Error(`--${option} needs a number above 0`)
  return value
}

function driver(): BenchOptions['driver'] {
  const { driver } = values
  if (driver !== undefined && driver !== 'c' && driver !== 'node')
    throw new Error(`--driver: ${driver} is neither c nor node`)
  return driver
}

/** Suites are imported when they run: a load with --program runs even if other sources do not compile. */
async function main(): Promise<void> {
  if (values.help) return console.log(help)
  if (values.micro) return (await import('./micro/index.ts')).runMicro(positionals)
  const numbers = {
    seconds: positive('seconds'),
    rounds: positive('rounds'),
    messages: positive('messages'),
    gb: positive('gb'),
  }
  const [suite, ...words] = positionals
  const options = { ...values, ...numbers, driver: driver() }
  if (suite === 'client') return (await import('./client/bench.ts')).benchClient({ ...options, words })
  if (suite === 'broker') return (await import('./broker/bench.ts')).benchBroker({ ...options, words })
  return (await import('./name-server/bench.ts')).benchNameServer({ ...options, words: positionals })
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})

import { systemClock } from '@gantrymq/remoting'
import type { ApacheOption, Program } from '../program/program.ts'
import { type StandaloneOptions, standaloneOptions } from './options.ts'
import { Standalone } from './standalone.ts'
import { StatusLine } from './status-line.ts'

const options: readonly ApacheOption<StandaloneOptions>[] = [
  { short: 'c', long: 'configFile', takesValue: true, meaning: 'Properties file with options' },
  { short: 'h', long: 'help', takesValue: false, meaning: 'Print help' },
  { short: 'p', long: 'printConfigItem', takesValue: false, meaning: 'Print all config items' },
]

/** A whole RocketMQ in one process, for development. */
export const gantry: Program<StandaloneOptions> = {
  name: 'gantry',
  role: 'RocketMQ',
  options: standaloneOptions,
  apacheOptions: options,

  async start(found, log) {
    const rocketMQ = await Standalone.start(found.options, log)
    const { broker } = rocketMQ
    const line = process.stdout.isTTY ? new StatusLine(process.stdout, () => broker.traffic(), systemClock) : undefined
    return {
      port: rocketMQ.port,
      bootLine: howToConnect(rocketMQ),
      options: found.options,
      async close() {
        line?.[Symbol.dispose]()
        await rocketMQ.close()
      },
    }
  },
}

function howToConnect({ options: { memory, dataDir }, nameServerAddress, brokerAddress }: Standalone): string {
  return `RocketMQ is ready. Name server ${nameServerAddress}, broker ${brokerAddress}, data in ${memory ? 'memory' : (dataDir ?? 'memory')}.
  Node:    await Producer.start({ nameServers: '${nameServerAddress}', group: 'my-group' })
  Java:    producer.setNamesrvAddr("${nameServerAddress}")
  mqadmin: mqadmin clusterList -n ${nameServerAddress}
  Browser: http://${nameServerAddress}/ and http://${brokerAddress}/
`
}

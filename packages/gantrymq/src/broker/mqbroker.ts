import { Broker, type BrokerOptions, brokerOptions } from '@gantrymq/broker'
import { brokerLabels, prometheusPage } from '../program/metrics.ts'
import type { ApacheOption, Program } from '../program/program.ts'

/** The options of Apache's mqbroker (its ServerUtil and BrokerStartup). */
const apacheOptions: readonly ApacheOption<BrokerOptions>[] = [
  { short: 'c', long: 'configFile', takesValue: true, meaning: 'Broker config properties file' },
  { short: 'h', long: 'help', takesValue: false, meaning: 'Print help' },
  { short: 'm', long: 'printImportantConfig', takesValue: false, meaning: 'Print important config item' },
  {
    short: 'n',
    long: 'namesrvAddr',
    takesValue: true,
    meaning: "Name server address list, eg: '192.168.0.1:9876;192.168.0.2:9876'",
    sets: 'namesrvAddr',
  },
  { short: 'p', long: 'printConfigItem', takesValue: false, meaning: 'Print all config item' },
]

/** The broker as a program: Apache's BrokerStartup. */
export const mqbroker: Program<BrokerOptions> = {
  name: 'mqbroker',
  role: 'broker',
  options: brokerOptions,
  apacheOptions,
  // Those that Apache marks with ImportantField.
  importantOptions: [
    'namesrvAddr',
    'brokerIP1',
    'brokerName',
    'brokerClusterName',
    'brokerId',
    'autoCreateTopicEnable',
    'autoCreateSubscriptionGroup',
    'msgTraceTopicName',
    'traceTopicEnable',
    'rejectTransactionMessage',
    'fetchNamesrvAddrByAddressServer',
    'transactionTimeOut',
    'transactionCheckMax',
    'transactionCheckInterval',
    'aclEnable',
    'storePathRootDir',
    'storePathCommitLog',
  ],

  async start({ options, unknown }, log) {
    const labels = brokerLabels(options.brokerClusterName, options.brokerName)
    const broker = await Broker.start({
      ...options,
      unknownKeys: unknown,
      log,
      metricsPage: source => prometheusPage(source, labels),
    })
    const { serializeType, namesrvAddr, brokerName } = options
    const where = namesrvAddr === null ? '' : ` and name server is ${namesrvAddr}`
    return {
      port: broker.address.port,
      bootLine: `The broker[${brokerName}, ${broker.advertisedAddress}] boot success. serializeType=${serializeType}${where}`,
      get options() {
        return broker.options
      },
      close: () => broker.close(),
    }
  },
}

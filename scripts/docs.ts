// Writes the pages of docs/ that are generated from the code; docs.test.ts compares them.
import { writeFileSync } from 'node:fs'
import { brokerInteropDoc } from './broker-interop-doc.ts'
import { clientOptionsDoc } from './client-options-doc.ts'
import { brokerOptionsDoc, configurationDoc } from './configuration-doc.ts'
import { protocolDoc } from './protocol-doc.ts'

writeFileSync('docs/configuration.md', configurationDoc())
writeFileSync('docs/broker-options.md', brokerOptionsDoc())
writeFileSync('docs/protocol.md', protocolDoc())
writeFileSync('docs/client-options.md', clientOptionsDoc())
writeFileSync('docs/broker-interop.md', brokerInteropDoc())

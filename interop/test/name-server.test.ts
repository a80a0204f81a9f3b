import { nameServerContract } from '../src/contract/name-server-contract.ts'
import { contractNameServers } from '../src/launch/name-servers.ts'

for (const kind of await contractNameServers()) nameServerContract(kind)

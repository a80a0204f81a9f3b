import { nameServerContract } from '../src/contract/name-server-contract.ts'
import { contractSubjects } from '../src/launch/subjects.ts'

for (const subject of await contractSubjects()) nameServerContract(subject)

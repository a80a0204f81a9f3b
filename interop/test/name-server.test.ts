import { nameServerContract } from '../src/name-server-contract.ts'
import { contractSubjects } from '../src/subjects.ts'

for (const subject of await contractSubjects()) nameServerContract(subject)

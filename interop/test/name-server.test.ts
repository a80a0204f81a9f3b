import { nameServerContract } from '../src/name-server-contract.ts'
import { allSubjects } from '../src/subjects.ts'

for (const subject of await allSubjects()) nameServerContract(subject)

import { signatureScenarios } from '../src/contract/signatures.ts'

await signatureScenarios()

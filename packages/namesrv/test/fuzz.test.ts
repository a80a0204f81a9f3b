import { fuzzTests } from '@gantrymq/testkit'
import { targets } from './fuzz-targets.ts'

fuzzTests(targets)

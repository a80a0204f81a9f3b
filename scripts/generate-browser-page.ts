// Writes the module with the page for browsers, before anything imports it; generate-docs.test.ts compares it.
import { writeFileSync } from 'node:fs'
import { browserPageModule } from './browser-page.ts'

writeFileSync('packages/daemon/src/http/browser-page.ts', browserPageModule())

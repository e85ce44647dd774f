// Prints "N passed, N failed" over vitest's JSON reports, and exits with 1 unless all tests ran and passed.
import { readFileSync } from 'node:fs'

function readReport(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    console.log(`the tests did not run to their end: there is no report ${path}`)
    return { success: false, testResults: [{ name: path, status: 'failed', assertionResults: [] }] }
  }
}

const reports = process.argv.slice(2).map(readReport)
const files = reports.flatMap(({ testResults }) => testResults)
const results = files.flatMap(({ assertionResults }) => assertionResults)
const count = (status) => results.filter((result) => result.status === status).length
// A file that cannot be loaded, and a report that was not written, have no results of their own: each is one failure.
const unloaded = files.filter(
  ({ status, assertionResults }) =>
    status === 'failed' && !assertionResults.some((result) => result.status === 'failed'),
)
const passed = count('passed')
const failed = count('failed') + unloaded.length
const skipped = results.length - passed - count('failed')

for (const { name } of unloaded) console.log(`could not be run: ${name}`)
if (skipped > 0) console.log(`${skipped} skipped, and none may be`)
console.log(`${passed} passed, ${failed} failed`)
const succeeded = reports.every(({ success }) => success)
process.exitCode = succeeded && passed > 0 && failed === 0 && skipped === 0 ? 0 : 1

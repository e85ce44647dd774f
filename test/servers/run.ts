/**
 * Signs in to every recorded server and prints one line each. `npm run test:servers -- slack` tries those whose name
 * has that in it. Exits with 1 if any differs from what is expected of it.
 */
import { differences, summaryOf } from './compare.ts'
import { connect } from './driver.ts'
import { ROWS } from './rows/index.ts'

const [filter = ''] = process.argv.slice(2)
const chosen = ROWS.filter(({ server }) => server.toLowerCase().includes(filter.toLowerCase()))
let connected = 0
let rejected = 0
for (const row of chosen) {
  const outcome = await connect(row)
  const found = differences(row, outcome)
  const isAsExpected = found.length === 0
  if (isAsExpected && 'connects' in row.expected) connected += 1
  if (isAsExpected && 'rejected' in row.expected) rejected += 1
  console.log(`${isAsExpected ? 'as expected' : 'DIFFERS    '}  ${row.server}: ${summaryOf(outcome)}`)
  for (const difference of found) console.log(`             ${difference}`)
  if (!isAsExpected && outcome.rejected !== undefined) console.log(`             ${outcome.rejected.message}`)
}
const connectable = chosen.filter(({ expected }) => 'connects' in expected).length
console.log('')
console.log(
  `connects ${connected} of ${connectable} that can be connected to; refused for a good reason ${rejected} of ${chosen.length - connectable}`,
)
process.exitCode = chosen.length > 0 && connected + rejected === chosen.length ? 0 : 1

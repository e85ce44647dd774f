/**
 * Regenerates the code blocks of README, docs and doc comments that name a source, and the tables of options. `--check`
 * writes nothing, and fails if a file is out of date.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { staleFiles } from '../support/docs/generated.ts'
import { projectRoot } from '../support/source-files.ts'

const isCheck = process.argv.includes('--check')
const stale = await staleFiles()
for (const [path, fresh] of stale) {
  console.log(isCheck ? `stale: ${path}; run: node test/examples/sync.ts` : `wrote ${path}`)
  if (!isCheck) writeFileSync(join(projectRoot, path), fresh)
}
if (isCheck && stale.size > 0) process.exitCode = 1

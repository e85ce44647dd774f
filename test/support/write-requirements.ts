// Writes docs/requirements.md anew.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { REQUIREMENTS } from '../requirements.ts'
import { citationsIn } from './citations.ts'
import { requirementsTable } from './requirements-table.ts'
import { projectRoot, sourceFiles } from './source-files.ts'

const citations = [...sourceFiles('test')].flatMap(([path, text]) => citationsIn(path, text))
writeFileSync(join(projectRoot, 'docs/requirements.md'), requirementsTable(REQUIREMENTS, citations))

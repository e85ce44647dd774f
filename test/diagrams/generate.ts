import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from '../support/source-files.ts'
import { diagramFiles } from './diagram-files.ts'

for (const [path, text] of await diagramFiles()) writeFileSync(join(projectRoot, path), text)

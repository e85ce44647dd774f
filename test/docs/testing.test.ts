import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { projectRoot } from '../support/source-files.ts'

const read = (path: string): string => readFileSync(join(projectRoot, path), 'utf8')

test('docs/testing.md shows the model-based example as it runs', () => {
  const example = read('test/examples/model-based.test.ts')
    .replace("'../../src/index.ts'", "'authchart'")
    .replace("'../../src/testing/index.ts'", "'authchart/testing'")
  expect(read('docs/testing.md')).toContain(`\`\`\`ts\n${example}\`\`\``)
})

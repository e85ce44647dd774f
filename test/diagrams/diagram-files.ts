import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { AnyStateMachine } from 'xstate'
import { connectionMachine } from '../../machines/connection.ts'
import { registrationMachine } from '../../machines/registration.ts'
import { projectRoot } from '../support/source-files.ts'
import { type ChartDiagram, diagramOf } from './chart-diagram.ts'
import { layoutOf } from './layout.ts'
import { mermaidOf, overviewOf } from './mermaid.ts'
import { svgOf } from './svg.ts'

/** The charts that are drawn. */
export const DRAWN: readonly AnyStateMachine[] = [connectionMachine, registrationMachine]

const fenced = (text: string): string => `\`\`\`mermaid\n${text}\n\`\`\``

/** One line for each state, indented by what it stands in. */
function listOf({ states }: ChartDiagram): string {
  return states
    .map(({ id, name, description, tags, rfc }) => {
      const notes = [...tags, ...(rfc === undefined ? [] : [rfc])]
      const suffix = notes.length === 0 ? '' : ` (${notes.join(', ')})`
      return `${'  '.repeat(id.split('.').length - 1)}- \`${name}\`${suffix}: ${description}`
    })
    .join('\n')
}

function pageOf(diagrams: readonly ChartDiagram[]): string {
  const parts = diagrams.map((diagram) => {
    const { name, description } = diagram
    return `## \`${name}\`

${description}

![The ${name} statechart](${name}.svg)

${listOf(diagram)}

<details>
<summary>As Mermaid text</summary>

${fenced(mermaidOf(diagram))}

</details>
`
  })
  return `# The statecharts

Generated from \`machines/\` by \`npm run diagrams\`; do not edit.

Green: a resting state, persisted. Yellow: a checkpoint, persisted before it is left; a \`claim\` precedes a request with a single-use credential. Blue: waits for a port, in memory only. Grey: left at once.
\`done\` and \`error\` are the results of the port, guards are in brackets, \`↻\` is a transition back to the same state, and \`→ name\` names the child state that is entered.
Transitions out of one state are evaluated from top to bottom.

${parts.join('\n')}`
}

/** The text between the markers of a README, replaced. */
export function withDiagram(readme: string, text: string): string {
  const [begin, end] = ['<!-- diagram -->', '<!-- /diagram -->']
  const [before, rest] = readme.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`README.md has no ${begin} … ${end}`)
  return `${before}${begin}\n\n${text}\n\n${end}${after}`
}

/** Every file that shows a chart, as it should be: by its path in the project. */
export async function diagramFiles(): Promise<Map<string, string>> {
  const diagrams = DRAWN.map(diagramOf)
  const files = new Map([['docs/statecharts.md', pageOf(diagrams)]])
  for (const diagram of diagrams) files.set(`docs/${diagram.name}.svg`, svgOf(diagram, await layoutOf(diagram)))
  const readme = readFileSync(join(projectRoot, 'README.md'), 'utf8')
  const [connection] = diagrams
  if (connection !== undefined) files.set('README.md', withDiagram(readme, fenced(mermaidOf(overviewOf(connection)))))
  return files
}

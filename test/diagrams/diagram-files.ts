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

Drawn from \`machines/\` by \`npm run diagrams\`; do not edit by hand.

Green: a place to rest, stored. Yellow: a checkpoint, stored before it is left; a \`claim\` stands before a request that spends something. Blue: a port is asked, in memory only. Grey: left at once.
\`done\` and \`error\` are the answers of the port, guards stand in brackets, \`↻\` is a step back into the same state, and \`→ name\` says which of the states in a frame is entered.
Transitions out of one state are tried from the top.

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

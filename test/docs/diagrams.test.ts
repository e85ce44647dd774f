import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { diagramOf, labelOf, targetOf, transitionsOf, type ChartDiagram } from '../diagrams/chart-diagram.ts'
import { diagramFiles, DRAWN, withDiagram } from '../diagrams/diagram-files.ts'
import { layoutOf, MAX_WIDTH_PX, textWidth, type Box } from '../diagrams/layout.ts'
import { mermaidOf, overviewOf } from '../diagrams/mermaid.ts'
import { svgOf } from '../diagrams/svg.ts'
import { statesOf } from '../support/charts/chart-graph.ts'
import { projectRoot } from '../support/source-files.ts'

const overlap = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
const holds = (a: Box, b: Box): boolean =>
  a.x <= b.x && a.y <= b.y && a.x + a.width >= b.x + b.width && a.y + a.height >= b.y + b.height

test('every file that shows a chart equals the output of `npm run diagrams`', { timeout: 60_000 }, async () => {
  const stale = [...(await diagramFiles())].filter(([path, text]) => {
    const file = join(projectRoot, path)
    return !existsSync(file) || readFileSync(file, 'utf8') !== text
  })
  expect(stale.map(([path]) => path)).toEqual([])
})

test('withDiagram throws for a README without markers', () => {
  expect(() => withDiagram('# authchart', 'x')).toThrow('<!-- diagram -->')
  expect(withDiagram('a\n<!-- diagram -->\nold\n<!-- /diagram -->\nb', 'new')).toBe(
    'a\n<!-- diagram -->\n\nnew\n\n<!-- /diagram -->\nb',
  )
})

describe.each(DRAWN.map((machine) => [machine.id, machine] as const))('the diagram of %s', (_, machine) => {
  const diagram = diagramOf(machine)
  const states = statesOf(machine)
  const idOf = ({ path }: { path: string[] }): string => path.join('.')

  test('the diagram has every state and every transition exactly once', () => {
    expect(diagram.states.map(({ id }) => id)).toEqual(states.map(idOf))
    const drawn = diagram.arrows.flatMap(({ source, target, labels }) =>
      labels.map((label) => {
        const [text, child] = label.split(' → ')
        return `${source} --${text}--> ${child === undefined ? target : `${target}.${child}`}`
      }),
    )
    const defined = states.flatMap((node) =>
      transitionsOf(node).map(
        (transition) => `${idOf(node)} --${labelOf(transition)}--> ${idOf(targetOf(transition))}`,
      ),
    )
    expect(drawn.toSorted()).toEqual(defined.toSorted())
  })

  test('the Mermaid text is complete, and the overview has only top-level states', () => {
    const text = mermaidOf(diagram).split('\n')
    const name = (id: string): string => id.replaceAll('.', '_')
    for (const { id, name: key } of diagram.states)
      // A simple state at the top is drawn from its arrows alone.
      expect(text.join('\n')).toMatch(new RegExp(id === key ? `\\b${key}\\b` : `state "${key}" as ${name(id)}\\b`))
    expect(text.filter((line) => line.includes(' : '))).toEqual(
      diagram.arrows.map(
        ({ source, target, labels }) => `  ${name(source)} --> ${name(target)} : ${labels.join('<br>')}`,
      ),
    )
    const overview = overviewOf(diagram)
    const top = (id: string): string => id.split('.')[0] ?? ''
    const ways = ({ arrows }: ChartDiagram): Set<string> =>
      new Set(
        arrows.map(({ source, target }) => `${top(source)} ${top(target)}`).filter((way) => !/^(\S+) \1$/.test(way)),
      )
    expect(ways(overview)).toEqual(ways(diagram))
  })

  describe('as a drawing', async () => {
    const layout = await layoutOf(diagram)
    const svg = svgOf(diagram, layout)
    const within = (outer: string, inner: string): boolean => inner.startsWith(`${outer}.`)

    test('the drawing is deterministic', async () => {
      expect(svgOf(diagram, await layoutOf(diagram))).toBe(svg)
    })

    test('the drawing is at most MAX_WIDTH_PX wide and contains every part', () => {
      expect(layout.width).toBeLessThanOrEqual(MAX_WIDTH_PX)
      const page = { x: 0, y: 0, width: layout.width, height: layout.height }
      const parts = [...layout.states, ...layout.initials, ...layout.arrows.map(({ label }) => label)]
      expect(parts.filter((part) => !holds(page, part))).toEqual([])
    })

    test('the drawing has text of at least 11 pixels that fits its state', () => {
      const sizes = [...svg.matchAll(/font-size:\s*([\d.]+)px/g)].map(([, size]) => Number(size))
      expect(sizes.length).toBeGreaterThan(1)
      expect(sizes.filter((size) => size < 11)).toEqual([])
      expect(svg).not.toMatch(/transform=|font-size="|textLength/)
      const tight = layout.states.filter(
        ({ state, lines, width }) =>
          textWidth(state.name, 13) > width || lines.some((line) => textWidth(line, 11) > width),
      )
      expect(tight).toEqual([])
    })

    test('the drawing has no overlapping states: a state is inside its ancestors and beside all others', () => {
      const wrong: string[] = []
      for (const [index, a] of layout.states.entries())
        for (const b of layout.states.slice(index + 1)) {
          const ids = `${a.state.id}, ${b.state.id}`
          if (within(a.state.id, b.state.id) ? !holds(a, b) : overlap(a, b)) wrong.push(ids)
        }
      expect(wrong).toEqual([])
    })

    test('the drawing has no arrow label over a state or over another label', () => {
      const wrong: string[] = []
      for (const [index, { arrow, label }] of layout.arrows.entries()) {
        const name = `${arrow.source} → ${arrow.target}`
        expect(label.width).toBeGreaterThan(0)
        for (const other of layout.arrows.slice(index + 1))
          if (overlap(label, other.label)) wrong.push(`${name} on ${other.arrow.source} → ${other.arrow.target}`)
        for (const placed of [...layout.states.filter(({ isCompound }) => !isCompound), ...layout.initials])
          if (overlap(label, placed)) wrong.push(`${name} on ${'state' in placed ? placed.state.id : 'a dot'}`)
        for (const frame of layout.states.filter(({ isCompound }) => isCompound)) {
          const title = { ...frame, height: 24 }
          // A text may stand inside a frame or outside of it, not on its edge, and not on its name.
          if (overlap(label, title) || (overlap(label, frame) && !holds(frame, label)))
            wrong.push(`${name} on ${frame.state.id}`)
        }
      }
      expect(wrong).toEqual([])
    })

    test('the drawing has no arrow through a state or through the label of another arrow', () => {
      const wrong: string[] = []
      for (const { arrow, points } of layout.arrows) {
        const name = `${arrow.source} → ${arrow.target}`
        for (const [index, from] of points.slice(0, -1).entries()) {
          const to = points[index + 1] ?? from
          const way = {
            x: Math.min(from.x, to.x) + 0.5,
            y: Math.min(from.y, to.y) + 0.5,
            width: Math.abs(to.x - from.x) - 1,
            height: Math.abs(to.y - from.y) - 1,
          }
          for (const placed of layout.states.filter(({ isCompound }) => !isCompound))
            if (overlap(way, placed)) wrong.push(`${name} through ${placed.state.id}`)
          for (const other of layout.arrows)
            if (other.arrow !== arrow && overlap(way, other.label))
              wrong.push(`${name} through the text of ${other.arrow.source} → ${other.arrow.target}`)
        }
      }
      expect(wrong).toEqual([])
    })

    test('the drawing supports light and dark pages and screen readers', () => {
      expect(svg).toContain('prefers-color-scheme: dark')
      expect(svg).toContain('role="img" aria-labelledby="title desc"')
      expect(svg).toMatch(/<title id="title">.+<\/title>\n<desc id="desc">.+<\/desc>/)
      for (const { id, description } of diagram.states) expect(svg).toContain(`<title>${id}: ${description}</title>`)
    })
  })
})

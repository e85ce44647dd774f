import type { ChartDiagram } from './chart-diagram.ts'
import {
  labelLines,
  LINE_PX,
  NAME_PX,
  TEXT_PX,
  type ChartLayout,
  type PlacedArrow,
  type PlacedState,
} from './layout.ts'

const STYLE = `
  svg { color-scheme: light dark; --paper: #ffffff; --ink: #1f2328; --soft: #59636e; --line: #6e7781; --box: #f6f8fa; --edge: #afb8c1;
    --rest: #dafbe1; --rest-edge: #2da44e; --claim: #fff1c2; --claim-edge: #bf8700; --work: #ddf4ff; --work-edge: #0969da }
  @media (prefers-color-scheme: dark) {
    svg { --paper: #0d1117; --ink: #e6edf3; --soft: #9da7b3; --line: #8b949e; --box: #151b23; --edge: #3d444d;
      --rest: #12361f; --rest-edge: #3fb950; --claim: #3f2f0a; --claim-edge: #d29922; --work: #10294a; --work-edge: #4493f8 }
  }
  text { font-family: ui-monospace, SFMono-Regular, Menlo, 'DejaVu Sans Mono', Consolas, monospace; font-size: ${TEXT_PX}px; fill: var(--ink) }
  .name { font-size: ${NAME_PX}px; font-weight: 600 }
  .soft { fill: var(--soft) }
  .paper, .label rect { fill: var(--paper) }
  .state rect { stroke-width: 1.25; fill: var(--box); stroke: var(--edge) }
  .compound > rect { fill: none; stroke: var(--edge); stroke-width: 1.5 }
  .rest rect { fill: var(--rest); stroke: var(--rest-edge) }
  .claim rect { fill: var(--claim); stroke: var(--claim-edge) }
  .work rect { fill: var(--work); stroke: var(--work-edge) }
  .arrow { fill: none; stroke: var(--line); stroke-width: 1.1 }
  .head, .dot { fill: var(--line) }`

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
const number = (value: number): string => String(Math.round(value * 10) / 10)
const rectangle = (
  { x, y, width, height }: { x: number; y: number; width: number; height: number },
  radius: number,
): string =>
  `<rect x="${number(x)}" y="${number(y)}" width="${number(width)}" height="${number(height)}" rx="${radius}"/>`

/** The kind of a state, which selects its colour. */
function kindOf({ isCompound, state: { tags, asks } }: PlacedState): string {
  if (isCompound) return 'compound'
  if (tags.includes('checkpoint')) return 'claim'
  if (tags.includes('storable')) return 'rest'
  return asks.length > 0 ? 'work' : 'pass'
}

function drawState(placed: PlacedState): string {
  const { state, lines, isCompound, x, y, width } = placed
  const middle = x + width / 2
  const line = (text: string, down: number, kind: string): string =>
    `<text class="${kind}" x="${number(middle)}" y="${number(y + down)}" text-anchor="middle">${escape(text)}</text>`
  return [
    `<g class="state ${kindOf(placed)}"><title>${escape(`${state.id}: ${state.description}`)}</title>`,
    rectangle(placed, isCompound ? 10 : 7),
    line(state.name, 19, 'name'),
    ...lines.map((text, index) => line(text, 34 + index * LINE_PX, 'soft')),
    '</g>',
  ].join('\n')
}

function drawWay(points: readonly { x: number; y: number }[]): string {
  const way = points.map(({ x, y }) => `${number(x)},${number(y)}`).join(' ')
  return `<polyline class="arrow" points="${way}" marker-end="url(#head)"/>`
}

function drawLabel({ arrow, label }: PlacedArrow): string {
  const middle = number(label.x + label.width / 2)
  const lines = labelLines(arrow).map(
    (text, index) =>
      `<text${/^\[\w+\]$/.test(text) ? ' class="soft"' : ''} x="${middle}" y="${number(label.y + 12 + index * LINE_PX)}" text-anchor="middle">${escape(text)}</text>`,
  )
  return [`<g class="label">`, rectangle(label, 3), ...lines, '</g>'].join('\n')
}

/** The drawing of a chart, readable on light and on dark pages, for a person and for a screen reader. */
export function svgOf({ name, description }: ChartDiagram, layout: ChartLayout): string {
  const { width, height, states, arrows, initials } = layout
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-labelledby="title desc">`,
    `<title id="title">The ${escape(name)} statechart</title>`,
    `<desc id="desc">${escape(description)}</desc>`,
    `<style>${STYLE}\n</style>`,
    '<defs><marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto"><path class="head" d="M0,0.5 L8,4 L0,7.5 z"/></marker></defs>',
    `<rect class="paper" width="${width}" height="${height}" rx="8"/>`,
    ...states.filter(({ isCompound }) => isCompound).map(drawState),
    ...initials.map(({ points }) => drawWay(points)),
    ...arrows.map(({ points }) => drawWay(points)),
    ...states.filter(({ isCompound }) => !isCompound).map(drawState),
    ...initials.map(
      (dot) =>
        `<circle class="dot" cx="${number(dot.x + dot.width / 2)}" cy="${number(dot.y + dot.height / 2)}" r="4.5"/>`,
    ),
    ...arrows.map(drawLabel),
    '</svg>',
    '',
  ].join('\n')
}

import type { ChartDiagram, DiagramArrow, DiagramState } from './chart-diagram.ts'

const nameOf = (id: string): string => id.replaceAll('.', '_')

/** The chart as Mermaid text, each compound state with its child states. */
export function mermaidOf({ initial, states, arrows }: ChartDiagram): string {
  const lines = (parent: string | undefined, first: string | undefined, indent: string): string[] => [
    ...(first === undefined ? [] : [`${indent}[*] --> ${nameOf(first)}`]),
    ...states.filter((state) => state.parent === parent).flatMap((state) => drawState(state, indent)),
  ]
  const drawState = ({ id, name, initial: first }: DiagramState, indent: string): string[] => {
    const head = `${indent}state "${name}" as ${nameOf(id)}`
    // Mermaid takes a state that is only named by its arrows for one of that name.
    if (id === name && first === undefined) return []
    return first === undefined ? [head] : [`${head} {`, ...lines(id, first, `${indent}  `), `${indent}}`]
  }
  const drawArrow = ({ source, target, labels }: DiagramArrow): string =>
    `  ${nameOf(source)} --> ${nameOf(target)} : ${labels.join('<br>')}`
  const classes = [
    ['claim', states.filter(({ tags }) => tags.includes('checkpoint'))],
    ['rest', states.filter(({ tags }) => tags.includes('storable') && !tags.includes('checkpoint'))],
    ['work', states.filter(({ asks }) => asks.length > 0)],
  ] as const
  return [
    'stateDiagram-v2',
    '  classDef rest fill:#dafbe1,stroke:#2da44e,color:#1f2328',
    '  classDef claim fill:#fff1c2,stroke:#bf8700,color:#1f2328',
    '  classDef work fill:#ddf4ff,stroke:#0969da,color:#1f2328',
    ...lines(undefined, initial, '  '),
    ...arrows.map(drawArrow),
    ...classes.flatMap(([kind, members]) =>
      members.length === 0 ? [] : [`  class ${members.map(({ id }) => nameOf(id)).join(',')} ${kind}`],
    ),
  ].join('\n')
}

/** The chart simplified: top-level states only, each event named once. */
export function overviewOf(diagram: ChartDiagram): ChartDiagram {
  const top = (id: string): string => id.split('.')[0] ?? id
  const merged = new Map<string, { source: string; target: string; labels: string[] }>()
  for (const { source, target, labels } of diagram.arrows) {
    const ends = { source: top(source), target: top(target) }
    if (ends.source === ends.target) continue
    const key = `${ends.source} ${ends.target}`
    const arrow = merged.get(key) ?? { ...ends, labels: [] }
    for (const label of labels) {
      const event = label.replace(/^.*(?=→)| \[.*/, '')
      if (!arrow.labels.includes(event)) arrow.labels.push(event)
    }
    merged.set(key, arrow)
  }
  const kind = (id: string): readonly string[] =>
    id === diagram.initial
      ? ['storable']
      : diagram.states.filter(({ parent }) => parent === id).flatMap(({ tags }) => tags)
  return {
    ...diagram,
    states: diagram.states
      .filter(({ parent }) => parent === undefined)
      .map((state) => ({ ...state, initial: undefined, tags: kind(state.id) })),
    arrows: [...merged.values()],
  }
}

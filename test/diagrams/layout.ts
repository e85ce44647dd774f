import ELK from 'elkjs/lib/elk.bundled.js'
import type { ElkExtendedEdge, ElkNode, ElkPoint } from 'elkjs/lib/elk-api.d.ts'
import type { ChartDiagram, DiagramArrow, DiagramState } from './chart-diagram.ts'

/** A rectangle, in pixels of the drawing. */
export interface Box {
  x: number
  y: number
  width: number
  height: number
}

/** A state with its place. */
export interface PlacedState extends Box {
  state: DiagramState
  lines: readonly string[]
  isCompound: boolean
}

/** An arrow with its way, and the place of its text. */
export interface PlacedArrow {
  arrow: DiagramArrow
  points: readonly ElkPoint[]
  label: Box
}

/** Where an initial state is marked: a dot, and the way from it. */
export interface PlacedInitial extends Box {
  points: readonly ElkPoint[]
}

/** A chart laid out. */
export interface ChartLayout {
  width: number
  height: number
  states: readonly PlacedState[]
  arrows: readonly PlacedArrow[]
  initials: readonly PlacedInitial[]
}

/** Sizes of text, in pixels. All of it has one width a character. */
export const NAME_PX = 13
export const TEXT_PX = 11
export const LINE_PX = 15
const CHARACTER_EM = 0.61
const PADDING = 8
const DOT = 9

export const textWidth = (text: string, fontPx: number): number => Math.ceil(text.length * fontPx * CHARACTER_EM)
/** An event and its guard stand on lines of their own. */
export const labelLines = ({ labels }: DiagramArrow): string[] =>
  labels.flatMap((label) => (label.includes('→') ? [label] : label.split(/ (?=\[)/)))
const widest = (lines: readonly string[]): number => Math.max(0, ...lines.map((line) => textWidth(line, TEXT_PX)))

/** What stands in the box of a state beneath its name. A step back into itself is one of the lines. */
function linesOf({ arrows }: ChartDiagram, { id, tags, asks, rfc }: DiagramState): string[] {
  const tag = ['claim', 'checkpoint'].find((name) => tags.includes(name))
  const again = arrows.filter(isLoop).filter(({ source }) => source === id)
  return [
    ...(tag ? [tag] : []),
    ...asks.map((port) => `asks ${port}`),
    ...(rfc === undefined ? [] : [rfc]),
    ...again.flatMap(labelLines).map((line) => (line.startsWith('[') ? line : `↻ ${line}`)),
  ]
}

const isLoop = ({ source, target }: DiagramArrow): boolean => source === target

const OPTIONS = {
  'elk.algorithm': 'layered',
  'elk.direction': 'DOWN',
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.json.shapeCoords': 'ROOT',
  'elk.json.edgeCoords': 'ROOT',
  'elk.padding': '[top=16,left=16,bottom=16,right=16]',
  'elk.spacing.nodeNode': '12',
  'elk.spacing.edgeNode': '10',
  'elk.spacing.edgeEdge': '10',
  'elk.spacing.edgeLabel': '4',
  'elk.spacing.labelLabel': '4',
  'elk.layered.spacing.nodeNodeBetweenLayers': '22',
  'elk.layered.spacing.edgeNodeBetweenLayers': '12',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '10',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
  'elk.layered.compaction.postCompaction.strategy': 'EDGE_LENGTH',
}

/** Arrows back to an earlier state are laid out the other way round, so that the order of the definition is kept. */
function isBackward({ states }: ChartDiagram, { source, target }: DiagramArrow): boolean {
  const place = (id: string): number => states.findIndex((state) => state.id === id)
  return place(target) < place(source)
}

const dotOf = (id: string): string => `${id}#initial`

/** The widest that a drawing may be, in pixels. */
export const MAX_WIDTH_PX = 1_600
/** What is tried, in this order, until a drawing is narrow enough. */
const VARIANTS = ['5', '1', '4', '2', '3', '6'].flatMap((seed) =>
  ['LONGEST_PATH', 'NETWORK_SIMPLEX'].map((layering) => ({
    'elk.layered.layering.strategy': layering,
    'elk.randomSeed': seed,
  })),
)

/** Lays a chart out. The same chart comes out the same each time. */
export async function layoutOf(diagram: ChartDiagram): Promise<ChartLayout> {
  let narrowest: ChartLayout | undefined
  for (const variant of VARIANTS) {
    const layout = await layOut(diagram, variant)
    if (narrowest === undefined || layout.width < narrowest.width) narrowest = layout
    if (layout.width <= MAX_WIDTH_PX) return layout
  }
  throw new Error(`${diagram.name} is ${narrowest?.width} px wide at its narrowest`)
}

async function layOut(diagram: ChartDiagram, variant: Record<string, string>): Promise<ChartLayout> {
  const ways = diagram.arrows.filter((arrow) => !isLoop(arrow))
  const childrenOf = (parent: string | undefined, initial: string | undefined): ElkNode[] => [
    ...(initial === undefined ? [] : [{ id: dotOf(parent ?? ''), width: DOT, height: DOT }]),
    ...diagram.states.filter((state) => state.parent === parent).map(nodeOf),
  ]
  const nodeOf = (state: DiagramState): ElkNode => {
    const lines = linesOf(diagram, state)
    const width = Math.max(textWidth(state.name, NAME_PX), widest(lines)) + 2 * PADDING
    if (state.initial === undefined) return { id: state.id, width, height: 28 + lines.length * LINE_PX }
    return {
      id: state.id,
      children: childrenOf(state.id, state.initial),
      layoutOptions: {
        'elk.padding': '[top=34,left=14,bottom=14,right=14]',
        'elk.nodeSize.constraints': 'MINIMUM_SIZE',
        'elk.nodeSize.minimum': `(${width},40)`,
      },
    }
  }
  const begins = [
    { id: '', initial: diagram.initial },
    ...diagram.states.flatMap(({ id, initial }) => (initial === undefined ? [] : [{ id, initial }])),
  ]
  const edges: ElkExtendedEdge[] = [
    ...begins.map(({ id, initial }) => ({ id: dotOf(id) + '>', sources: [dotOf(id)], targets: [initial] })),
    ...ways.map((arrow, index) => ({
      id: `arrow ${index}`,
      sources: [isBackward(diagram, arrow) ? arrow.target : arrow.source],
      targets: [isBackward(diagram, arrow) ? arrow.source : arrow.target],
      labels: [
        {
          text: labelLines(arrow).join('\n'),
          width: widest(labelLines(arrow)) + 6,
          height: labelLines(arrow).length * LINE_PX + 2,
          layoutOptions: {
            'elk.edgeLabels.inline': 'true',
            'elk.layered.edgeLabels.centerLabelPlacementStrategy': isBackward(diagram, arrow)
              ? 'HEAD_LAYER'
              : 'TAIL_LAYER',
          },
        },
      ],
    })),
  ]
  const graph: ElkNode = {
    id: 'root',
    layoutOptions: { ...OPTIONS, ...variant },
    children: childrenOf(undefined, diagram.initial),
    edges,
  }
  const root = await new ELK.default().layout(graph)

  const boxes = new Map<string, Box>()
  const visit = (node: ElkNode): void => {
    const { x = 0, y = 0, width = 0, height = 0 } = node
    boxes.set(node.id, { x, y, width, height })
    node.children?.forEach(visit)
  }
  visit(root)
  const boxOf = (id: string): Box => {
    const box = boxes.get(id)
    if (box === undefined) throw new Error(`${id} was not placed`)
    return box
  }
  const laid = new Map((root.edges ?? []).map((edge) => [edge.id, edge]))
  const edgeOf = (id: string): { points: ElkPoint[]; label: Box } => {
    const edge = laid.get(id)
    const [section] = edge?.sections ?? []
    if (edge === undefined || section === undefined) throw new Error(`${id} was not routed`)
    const { x = 0, y = 0, width = 0, height = 0 } = edge.labels?.[0] ?? {}
    return {
      points: [section.startPoint, ...(section.bendPoints ?? []), section.endPoint],
      label: { x, y, width, height },
    }
  }
  return {
    width: Math.ceil(root.width ?? 0),
    height: Math.ceil(root.height ?? 0),
    states: diagram.states.map((state) => ({
      state,
      lines: linesOf(diagram, state),
      isCompound: state.initial !== undefined,
      ...boxOf(state.id),
    })),
    arrows: ways.map((arrow, index) => {
      const { points, label } = edgeOf(`arrow ${index}`)
      return { arrow, points: isBackward(diagram, arrow) ? points.toReversed() : points, label }
    }),
    initials: begins.map(({ id }) => ({ ...boxOf(dotOf(id)), points: edgeOf(`${dotOf(id)}>`).points })),
  }
}

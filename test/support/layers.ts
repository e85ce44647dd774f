import { builtinModules } from 'node:module'
import { importsOf } from './imports-of.ts'
import { resolveRelative } from './source-files.ts'

/**
 * The rooms of the house, floor by floor from the ground up: every folder of `src`, `machines`, and every file that
 * lies directly in `src`. A room imports from lower floors only, never from its own floor or a higher one.
 */
const FLOORS: readonly (readonly string[])[] = [
  ['errors', 'clock', 'backoff', 'lru-map'],
  ['schemas'],
  ['http', 'stores', 'protocol'],
  ['durable', 'machines'],
  ['options'],
  ['actors'],
  ['connection'],
  ['web', 'adapters'],
  ['orchestrator', 'testing', 'cli'],
  ['index'],
]

/** Lower rooms that a room must not import all the same. */
const FORBIDDEN: Readonly<Record<string, readonly string[]>> = {
  // The engine knows no OAuth and no network.
  durable: ['http', 'protocol'],
  // The charts are drawn in a browser.
  machines: ['clock', 'http', 'lru-map', 'stores'],
}

/** Rooms of which `machines` may import more than types. */
const VALUES_FOR_MACHINES = ['backoff', 'protocol']

/** Packages that one folder alone may import. */
const OWNED: Readonly<Record<string, string>> = {
  ky: 'src/http/',
  undici: 'src/http/',
  ioredis: 'src/stores/redis/',
}

/** All that the charts may import from packages. */
const CHART_PACKAGES = ['xstate']

const floorOf = (room: string): number => FLOORS.findIndex((rooms) => rooms.includes(room))

/** The room of a project path; `undefined` for one that no floor lists. */
export function roomOf(path: string): string | undefined {
  const [top, second = '', ...rest] = path.split('/')
  if (top !== 'src' && top !== 'machines') return undefined
  const room = top === 'machines' ? 'machines' : rest.length === 0 ? second.replace(/\.ts$/, '') : second
  return floorOf(room) < 0 ? undefined : room
}

function isNodeModule(specifier: string): boolean {
  return specifier.startsWith('node:') || builtinModules.includes(specifier)
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Every import of these files that goes the wrong way, as `path:line: text: why`. */
export function wrongImports(files: ReadonlyMap<string, string>): string[] {
  return [...files].flatMap(([path, text]) => wrongImportsOf(path, text, files))
}

function wrongImportsOf(path: string, text: string, files: ReadonlyMap<string, string>): string[] {
  const room = roomOf(path)
  if (room === undefined) return [`${path}: is in no room of test/support/layers.ts`]
  return importsOf(path, text).flatMap(({ specifier, typeOnly, place }) => {
    const why = specifier.startsWith('.')
      ? whyNotFile(room, resolveRelative(path, specifier), typeOnly, files)
      : whyNotPackage(path, room, specifier)
    return why === undefined ? [] : [`${place}: ${why}`]
  })
}

function whyNotFile(
  room: string,
  target: string,
  typeOnly: boolean,
  files: ReadonlyMap<string, string>,
): string | undefined {
  if (!files.has(target)) return `${target} is no file of src or machines`
  const other = roomOf(target)
  if (other === undefined || other === room) return undefined
  if (floorOf(other) >= floorOf(room) || FORBIDDEN[room]?.includes(other)) return `${room} may not import ${other}`
  if (room === 'machines' && !VALUES_FOR_MACHINES.includes(other) && !typeOnly)
    return `machines may import only types from ${other}`
  return undefined
}

function whyNotPackage(path: string, room: string, specifier: string): string | undefined {
  if (specifier === '(computed)') return 'a computed specifier cannot be checked'
  if (room === 'machines') {
    if (isNodeModule(specifier)) return 'machines may not import modules of Node'
    return CHART_PACKAGES.includes(packageOf(specifier))
      ? undefined
      : `machines may import only ${CHART_PACKAGES.join(', ')}`
  }
  const owner = OWNED[packageOf(specifier)]
  return owner === undefined || path.startsWith(owner) ? undefined : `only ${owner} may import ${packageOf(specifier)}`
}

/** Modules of Node and packages beside xstate that load with the charts, directly or not, as `path:line: text`. */
export function foreignModulesBehindCharts(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = []
  const seen = new Set<string>()
  const queue = [...files.keys()].filter((path) => roomOf(path) === 'machines')
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const text = files.get(path)
    if (text === undefined || seen.has(path)) continue
    seen.add(path)
    for (const { specifier, typeOnly, place } of importsOf(path, text)) {
      if (typeOnly) continue
      if (specifier.startsWith('.')) queue.push(resolveRelative(path, specifier))
      else if (!CHART_PACKAGES.includes(packageOf(specifier))) found.push(place)
    }
  }
  return found
}

/** How the rooms hang together, counted from the imports themselves. */
export interface House {
  rooms: string[]
  /** Each room with the rooms that it imports from. */
  arrows: Map<string, string[]>
  /** The rooms by the longest chain of imports below each, from the ground up. */
  floors: string[][]
  /** Chains of files that lead back to their first file. */
  circles: string[]
}

/** Measures the house. Type-only imports count like all others. */
export function measureHouse(files: ReadonlyMap<string, string>): House {
  const targetsOf = (path: string, text: string): string[] =>
    importsOf(path, text).flatMap(({ specifier }) => {
      const target = specifier.startsWith('.') ? resolveRelative(path, specifier) : ''
      return files.has(target) ? [target] : []
    })
  const fileGraph = new Map([...files].map(([path, text]) => [path, targetsOf(path, text)] as const))
  const arrows = new Map<string, string[]>()
  for (const [path, targets] of fileGraph) {
    const room = roomOf(path) ?? path
    const others = targets.map((target) => roomOf(target) ?? target).filter((other) => other !== room)
    arrows.set(room, [...new Set([...(arrows.get(room) ?? []), ...others])].toSorted())
  }
  const rooms = [...arrows.keys()].toSorted()
  const depth = (room: string, above: readonly string[] = []): number =>
    Math.max(
      0,
      ...(arrows.get(room) ?? [])
        .filter((next) => !above.includes(next))
        .map((next) => 1 + depth(next, [...above, room])),
    )
  const floors: string[][] = []
  for (const room of rooms) (floors[depth(room)] ??= []).push(room)
  return { rooms, arrows, floors, circles: circlesIn(fileGraph) }
}

function circlesIn(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>()
  const found: string[] = []
  const walk = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) found.push([...trail.slice(start), path].join(' → '))
    if (start >= 0 || done.has(path)) return
    for (const next of graph.get(path) ?? []) walk(next, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) walk(path, [])
  return found
}

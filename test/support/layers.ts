import { builtinModules } from 'node:module'
import { importsOf } from './imports-of.ts'
import { resolveRelative } from './source-files.ts'

const BASE = ['clock', 'errors', 'schemas']
const PURE = [...BASE, 'protocol']
const INNER = [...PURE, 'machines', 'http', 'stores', 'actors', 'runner']
const OUTER = [...INNER, 'orchestrator', 'adapters', 'testing', 'cli', 'index']

/** Which layers each layer may import, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  clock: [],
  errors: [],
  schemas: ['clock', 'errors'],
  protocol: BASE,
  machines: PURE,
  http: PURE,
  stores: PURE,
  actors: [...PURE, 'machines', 'http', 'stores'],
  runner: [...PURE, 'machines', 'stores'],
  orchestrator: INNER,
  adapters: OUTER,
  testing: OUTER,
  cli: OUTER,
  index: OUTER,
}

/** The folders of `src`, each a layer of its own. */
const FOLDERS = ['actors', 'adapters', 'cli', 'errors', 'http', 'protocol', 'schemas', 'stores', 'testing']

/** Packages that one folder alone may import. */
const OWNED: Readonly<Record<string, string>> = {
  ky: 'src/http/',
  undici: 'src/http/',
  ioredis: 'src/stores/redis/',
}

/** All that the charts may import from packages: they are drawn in a browser. */
const CHART_PACKAGES = ['xstate']

/** Files that stand directly in `src` and belong to a layer of another name. */
const FILES: Readonly<Record<string, string>> = {
  'src/clock.ts': 'clock',
  'src/changes.ts': 'runner',
  'src/durable-chart.ts': 'runner',
  'src/chart-actor.ts': 'runner',
  'src/inspection.ts': 'runner',
  'src/runner.ts': 'runner',
  'src/index.ts': 'index',
}

/** The layer of a project path. Files directly in `src` that are not listed are parts of the orchestrator. */
export function layerOf(path: string): string | undefined {
  const [top, folder = '', file] = path.split('/')
  if (top === 'machines') return 'machines'
  if (top !== 'src') return undefined
  if (file === undefined) return FILES[path] ?? 'orchestrator'
  return FOLDERS.includes(folder) ? folder : undefined
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
  const layer = layerOf(path)
  if (layer === undefined) return [`${path}: is in no layer of test/support/layers.ts`]
  return importsOf(path, text).flatMap(({ specifier, typeOnly, place }) => {
    const why = specifier.startsWith('.')
      ? whyNotFile(layer, resolveRelative(path, specifier), typeOnly, files)
      : whyNotPackage(path, layer, specifier)
    return why === undefined ? [] : [`${place}: ${why}`]
  })
}

function whyNotFile(
  layer: string,
  target: string,
  typeOnly: boolean,
  files: ReadonlyMap<string, string>,
): string | undefined {
  if (!files.has(target)) return `${target} is no file of src or machines`
  const other = layerOf(target)
  if (other === undefined || other === layer) return undefined
  if (!MAY_IMPORT[layer]?.includes(other)) return `${layer} may not import ${other}`
  if (layer === 'machines' && other !== 'protocol' && !typeOnly) return `machines may import only types from ${other}`
  return undefined
}

function whyNotPackage(path: string, layer: string, specifier: string): string | undefined {
  if (specifier === '(computed)') return 'a computed specifier cannot be checked'
  if (layer === 'machines') {
    if (isNodeModule(specifier)) return 'machines may not import modules of Node'
    return CHART_PACKAGES.includes(packageOf(specifier))
      ? undefined
      : `machines may import only ${CHART_PACKAGES.join(', ')}`
  }
  const owner = OWNED[packageOf(specifier)]
  return owner === undefined || path.startsWith(owner) ? undefined : `only ${owner} may import ${packageOf(specifier)}`
}

/** Modules of Node that a browser would have to load with the charts, by way of what they import, as `path:line: text`. */
export function nodeModulesBehindCharts(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = []
  const seen = new Set<string>()
  const queue = [...files.keys()].filter((path) => layerOf(path) === 'machines')
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    const text = files.get(path)
    if (text === undefined || seen.has(path)) continue
    seen.add(path)
    for (const { specifier, typeOnly, place } of importsOf(path, text)) {
      if (typeOnly) continue
      if (isNodeModule(specifier)) found.push(place)
      else if (specifier.startsWith('.')) queue.push(resolveRelative(path, specifier))
    }
  }
  return found
}

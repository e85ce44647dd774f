/**
 * Installs the packed package in empty projects, as somebody who uses it would: type-checks there, without
 * `skipLibCheck`, and loads every entry. Expects the build to be there.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageEntries } from '../support/package-json.ts'
import { withPackageNames } from '../support/docs/package-names.ts'
import { projectRoot } from '../support/source-files.ts'

/** Entries that need an optional peer, by its name. */
const NEEDS: ReadonlyMap<string, string> = new Map([['./redis', 'ioredis']])
/** The oldest TypeScript that understands the declarations, as docs/platforms.md says. */
const OLDEST_TYPESCRIPT = '5.2.2'
/** What the project is compiled with: as strict as TypeScript is, and nothing is taken on trust. */
const TSCONFIG = {
  compilerOptions: {
    target: 'ES2022',
    lib: ['ES2023', 'DOM', 'DOM.Iterable'],
    module: 'NodeNext',
    types: ['node'],
    strict: true,
    skipLibCheck: false,
    noEmit: true,
  },
}

const scratch = mkdtempSync(join(tmpdir(), 'authchart-consumer-'))
const run = (command: string, args: string[], cwd: string): string =>
  execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })

function versionsOf(...names: string[]): string[] {
  return names.map((name) => {
    const { version } = JSON.parse(readFileSync(join(projectRoot, 'node_modules', name, 'package.json'), 'utf8')) as {
      version: string
    }
    return `${name}@${version}`
  })
}

/** A module that uses an entry without asking anybody for anything. */
function loader(entries: readonly string[]): string {
  const lines = entries.map((entry, index) => `import * as entry${index} from '${entry}'`)
  const named = entries.map((entry, index) => `  '${entry}': Object.keys(entry${index}).length,`)
  return [
    ...lines,
    '',
    'const exported: Record<string, number> = {',
    ...named,
    '}',
    'console.log(JSON.stringify(exported))',
    '',
  ].join('\n')
}

/** Copies examples as a consumer has them, importing the package by its name. */
function copyExample(project: string, name: string): void {
  const path = `test/examples/${name}.ts`
  writeFileSync(join(project, `${name}.ts`), withPackageNames(path, readFileSync(join(projectRoot, path), 'utf8')))
}

function tryOut(
  tarball: string,
  title: string,
  { peers = [], examples = [], typescript }: { peers?: string[]; examples?: string[]; typescript?: string },
): void {
  const project = join(scratch, title.replaceAll(' ', '-'))
  mkdirSync(project)
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'consumer', private: true, type: 'module' }))
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG))
  const packages = [tarball, ...versionsOf('@types/node', ...peers)]
  if (typescript !== undefined) packages.push(`typescript@${typescript}`)
  run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', ...packages], project)
  const entries = [...packageEntries().keys()]
    .filter((subpath) => peers.includes(NEEDS.get(subpath) ?? '') || !NEEDS.has(subpath))
    .map((subpath) => `authchart${subpath.slice(1)}`)
  writeFileSync(join(project, 'entries.ts'), loader(entries))
  for (const example of examples) copyExample(project, example)
  run(join(typescript === undefined ? projectRoot : project, 'node_modules/.bin/tsc'), ['-p', project], project)
  const exported = JSON.parse(run(process.execPath, ['entries.ts'], project)) as Record<string, number>
  const empty = Object.entries(exported).filter(([, count]) => count === 0)
  if (Object.keys(exported).length !== entries.length || empty.length > 0)
    throw new Error(`${title}: loaded ${JSON.stringify(exported)}`)
  console.log(`${title}: ${entries.length} entries type-checked and loaded, and ${examples.length} examples compiled`)
}

try {
  const [{ filename }] = JSON.parse(
    run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', scratch], projectRoot),
  ) as [{ filename: string }]
  const tarball = join(scratch, filename)
  tryOut(tarball, 'without ioredis', { examples: ['quick-start', 'failures', 'migrating', 'own-store'] })
  tryOut(tarball, 'with ioredis', { peers: ['ioredis'], examples: ['quick-start', 'redis', 'stores'] })
  tryOut(tarball, `with TypeScript ${OLDEST_TYPESCRIPT}`, { peers: ['ioredis'], typescript: OLDEST_TYPESCRIPT })
} finally {
  rmSync(scratch, { recursive: true, force: true })
}

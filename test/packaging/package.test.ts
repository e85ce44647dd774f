import { execFile } from 'node:child_process'
import { cp, mkdir, rm, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { beforeAll, expect, test } from 'vitest'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
// Inside the repository, so that the dependencies of the package are found on the way up.
const project = `${root}.cache/packaging`
const installed = `${project}/node_modules/authchart`

/** What a module of an empty project prints. */
async function evaluate(code: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], { cwd: project })
  return JSON.parse(stdout)
}

const namesOf = (entry: string): Promise<unknown> =>
  evaluate(`console.log(JSON.stringify(Object.keys(await import('${entry}')).sort()))`)

beforeAll(async () => {
  await rm(project, { recursive: true, force: true })
  await mkdir(installed, { recursive: true })
  // A package of its own: in ours the name would mean the sources.
  await writeFile(`${project}/package.json`, JSON.stringify({ name: 'consumer', type: 'module' }))
  for (const file of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md'])
    await cp(root + file, `${installed}/${file}`)
  await run(`${root}node_modules/.bin/tsc`, ['-p', root, '--outDir', `${installed}/dist`], { cwd: root })
}, 120_000)

test.each([
  [
    'authchart',
    ['AuthorizationError', 'MemoryStore', 'createAuthOrchestrator', 'describeFailure', 'isAuthorizationError'],
  ],
  ['authchart/machines', ['connectionMachine', 'registrationMachine']],
  ['authchart/mcp', ['aiSdkTransport', 'authorizationErrorOf', 'mcpTransportOptions']],
  ['authchart/node', ['toNodeHandler']],
  ['authchart/redis', ['RedisStore', 'TooFewReplicasError']],
  ['authchart/sqlite', ['SqliteStore']],
  ['authchart/stately', ['createStatelyInspector', 'toStately']],
])('the package entry %s exports exactly its documented names', async (entry, names) => {
  expect(await namesOf(entry)).toEqual(names)
})

/** The packages, and the modules of Node, that a process loads when it imports these entries and nothing else. */
async function loadedBy(...entries: string[]): Promise<{ packages: unknown; builtIns: unknown }> {
  const code = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context) } })
    for (const entry of ${JSON.stringify(entries)}) await import(entry)
    const packages = loaded.map((url) => /.*node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1])
    const named = [...new Set(packages)].filter((name) => name !== undefined).sort()
    console.log(JSON.stringify({ packages: named, builtIns: loaded.filter((url) => url.startsWith('node:')) }))`
  return (await evaluate(code)) as { packages: unknown; builtIns: unknown }
}

test('the main entry and the Redis store load the dependencies of the package and nothing else', async () => {
  const { packages, builtIns } = await loadedBy('authchart', 'authchart/redis')
  // Neither ioredis, which the host brings, nor OpenTelemetry, an inspector, a web socket or a server of the tests.
  expect(packages).toEqual(['authchart', 'jose', 'ky', 'oauth4webapi', 'undici', 'valibot', 'xstate'])
  expect(builtIns).not.toContain('node:sqlite')
})

test('an orchestrator of the built package reads the status of a new connection', async () => {
  const code = `
    import { createAuthOrchestrator } from 'authchart'
    const auth = createAuthOrchestrator({ client: { name: 'Acme', redirectUri: 'https://acme.example/callback' } })
    const { state } = await auth.connection({ tenant: 't', server: 'https://mcp.example/mcp' }).status()
    await auth.close()
    console.log(JSON.stringify(state))`
  expect(await evaluate(code)).toBe('disconnected')
})

test('the published files are the build and its documents', async () => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], { cwd: installed })
  const [packed] = JSON.parse(stdout) as [{ files: { path: string }[] }]
  const strange = packed.files
    .map(({ path }) => path)
    .filter(
      (path) =>
        !/^(?:dist\/(?:src|machines)\/.*\.(?:js|d\.ts)(?:\.map)?|package\.json|README\.md|LICENSE|CHANGELOG\.md)$/.test(
          path,
        ),
    )
  expect(strange).toEqual([])
})

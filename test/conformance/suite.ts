import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import * as v from 'valibot'

const run = promisify(execFile)

const FOLDER = import.meta.dirname
const SUITE = join(FOLDER, 'node_modules', '@modelcontextprotocol', 'conformance', 'dist', 'index.js')

/** How long one client may take, and how long one run of the suite with it. */
const CLIENT_TIMEOUT_MS = 60_000
const RUN_TIMEOUT_MS = 90_000

/** The suite starts the client through a shell and its PATH: it shall be the Node that runs this. */
const ENV = { ...process.env, PATH: [dirname(process.execPath), process.env['PATH']].join(delimiter) }

const Checks = v.array(v.object({ id: v.string(), status: v.string(), description: v.string() }))

/** One strict run of one scenario. */
export interface Outcome {
  passed: boolean
  /** How many checks were met. */
  checks: number
  /** What was not as it must be. */
  complaints: string[]
}

/** Installs the suite from its lock file, once. */
export async function installSuite(): Promise<void> {
  if (existsSync(SUITE)) return
  console.log('installing the conformance suite')
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: FOLDER })
}

/** The authorization scenarios for clients, as the suite itself lists them: all, or those of one set of requirements. */
export async function listScenarios(requirements?: string): Promise<string[]> {
  const selection = requirements === undefined ? ['--client'] : ['--requirements', requirements]
  const { stdout } = await run(process.execPath, [SUITE, 'list', ...selection], { cwd: FOLDER, env: ENV })
  // What a set does not score is indented deeper.
  return [...stdout.matchAll(/^ {2}- (auth\/\S+)/gm)].map(([, name]) => String(name))
}

/** Runs one scenario, at the revision of MCP that the suite picks or at the one given. */
export async function runScenario(
  scenario: string,
  results: string,
  specVersion: string | undefined,
): Promise<Outcome> {
  const revision = specVersion === undefined ? [] : ['--spec-version', specVersion]
  const suite = spawn(
    process.execPath,
    // "exec", because the suite ends only the shell when a client takes too long.
    [SUITE, 'client', '--command', 'exec node ./client.ts', '--scenario', scenario, ...revision].concat(
      '--timeout',
      String(CLIENT_TIMEOUT_MS),
      '--output-dir',
      results,
    ),
    { cwd: FOLDER, env: ENV, stdio: ['ignore', 'pipe', 'pipe'], detached: true },
  )
  let output = ''
  for (const stream of [suite.stdout, suite.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  const timer = setTimeout(() => suite.pid !== undefined && process.kill(-suite.pid, 'SIGKILL'), RUN_TIMEOUT_MS)
  const [code] = (await once(suite, 'close')) as [number | null]
  clearTimeout(timer)

  const checks = await readChecks(results)
  const complaints = checks
    .filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
    .map(({ status, id, description }) => `${status} ${id}: ${description}`)
  const met = checks.filter(({ status }) => status === 'SUCCESS').length
  if (met === 0) complaints.push('no check was met')
  if (code !== 0) complaints.push(`exit code ${code}: ${output}`)
  return { passed: complaints.length === 0, checks: met, complaints }
}

/** The checks of a folder that holds the results of one run. */
async function readChecks(results: string): Promise<v.InferOutput<typeof Checks>> {
  const names = await readdir(results, { recursive: true }).catch(() => [])
  const name = names.find((file) => file.endsWith('checks.json'))
  return name === undefined ? [] : v.parse(Checks, JSON.parse(await readFile(join(results, name), 'utf8')))
}

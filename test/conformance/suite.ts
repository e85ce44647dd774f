import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { basename, delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import * as v from 'valibot'

const run = promisify(execFile)

const FOLDER = import.meta.dirname
const PACKAGE = '@modelcontextprotocol/conformance'
const SUITE = join(FOLDER, 'node_modules', PACKAGE, 'dist', 'index.js')

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

/** Installs the suite from its lock file, unless the version that is pinned there is installed already. */
export async function installSuite(): Promise<void> {
  const wanted = await versionIn('package-lock.json')
  if (wanted === (await versionIn(join('node_modules', '.package-lock.json')).catch(() => undefined))) return
  console.log(`installing the conformance suite ${wanted}`)
  await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: FOLDER })
}

const LockFile = v.object({
  packages: v.object({ [`node_modules/${PACKAGE}`]: v.object({ version: v.string() }) }),
})

async function versionIn(lockFile: string): Promise<string | undefined> {
  const { packages } = v.parse(LockFile, JSON.parse(await readFile(join(FOLDER, lockFile), 'utf8')))
  return packages[`node_modules/${PACKAGE}`]?.version
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
    { cwd: FOLDER, env: ENV, stdio: 'ignore', detached: true },
  )
  const timer = setTimeout(() => suite.pid !== undefined && process.kill(-suite.pid, 'SIGKILL'), RUN_TIMEOUT_MS)
  const [code] = (await once(suite, 'exit')) as [number | null]
  clearTimeout(timer)

  const checks = v.parse(Checks, JSON.parse((await readResult(results, 'checks.json')) ?? '[]'))
  const complaints = checks
    .filter(({ status }) => status === 'FAILURE' || status === 'WARNING')
    .map(({ status, id, description }) => `${status} ${id}: ${description}`)
  const met = checks.filter(({ status }) => status === 'SUCCESS').length
  if (met === 0) complaints.push('no check was met')
  if (code !== 0) complaints.push(`exit code ${code}; the client said: ${await readResult(results, 'stderr.txt')}`)
  return { passed: complaints.length === 0, checks: met, complaints }
}

/** A file of the folder that holds the results of one run, below a name that has the time in it. */
async function readResult(results: string, name: string): Promise<string | undefined> {
  const names = await readdir(results, { recursive: true }).catch(() => [])
  const path = names.find((file) => basename(file) === name)
  return path === undefined ? undefined : await readFile(join(results, path), 'utf8')
}

import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { projectRoot } from '../support/source-files.ts'

const FOLDER = join(projectRoot, '.github/workflows')

/** The jobs of a workflow by their names, as text. */
const jobsOf = (text: string): Map<string, string> =>
  new Map(
    text
      .slice(text.indexOf('\njobs:\n'))
      .split(/^ {2}(?=[\w-]+:$)/m)
      .slice(1)
      .map((job) => [job.slice(0, job.indexOf(':')), job]),
  )

const workflows = globSync('*.yml', { cwd: FOLDER }).map((name) => {
  const text = readFileSync(join(FOLDER, name), 'utf8')
  return { name: basename(name, '.yml'), text, jobs: jobsOf(text) }
})
const jobOf = (workflow: string, job: string): string =>
  workflows.find(({ name }) => name === workflow)?.jobs.get(job) ?? ''
const runsOf = (job: string): string[] => [...job.matchAll(/- run: (.*)$/gm)].map(([, command = '']) => command)

describe('the workflows', () => {
  test('every workflow has no permissions but those that a job asks for, and pins every action by its commit', () => {
    expect(workflows.map(({ name }) => name).toSorted()).toEqual(['ci', 'release'])
    for (const { text, jobs } of workflows) {
      expect(text).toContain('\npermissions: {}\n')
      expect([...jobs.values()].filter((job) => !/^ {4}permissions:$/m.test(job))).toEqual([])
      const actions = [...text.matchAll(/uses: (.*)$/gm)].map(([, action = '']) => action)
      expect(actions.filter((action) => !/^actions\/[\w-]+@[0-9a-f]{40} # v[\d.]+$/.test(action))).toEqual([])
    }
  })

  test('only the job that publishes may have the identity of the release workflow', () => {
    const granted = workflows.flatMap(({ name, jobs }) =>
      [...jobs].filter(([, job]) => /id-token|: write/.test(job)).map(([job]) => `${name} ${job}`),
    )
    expect(granted).toEqual(['release publish'])
  })

  test('the job that publishes runs no code of the repository or of a dependency: it checks and publishes a tarball', () => {
    const job = jobOf('release', 'publish')
    expect(job).toContain('    needs: [check, build]\n')
    expect(job).not.toContain('actions/checkout')
    expect(runsOf(job)).toEqual([
      'echo "$SHA256  package.tgz" | sha256sum --check --strict',
      'npm publish ./package.tgz --ignore-scripts --provenance --access public',
    ])
  })

  test('the job that builds the package runs no script of a dependency and checks the signatures of what it installed', () => {
    const job = jobOf('release', 'build')
    expect(runsOf(job)).toEqual(['npm ci --ignore-scripts', 'npm audit signatures', 'npm run build'])
    expect(job).toContain('npm pack --ignore-scripts')
  })

  test('the public workflow audits the runtime dependencies and the signatures of all packages', () => {
    expect(runsOf(jobOf('ci', 'dependencies'))).toEqual([
      'npm ci --ignore-scripts',
      'npm audit --omit=dev',
      'npm audit signatures',
    ])
  })
})

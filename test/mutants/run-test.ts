import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import * as v from 'valibot'
import type { NamedTest } from './mutant.ts'

/** The longest that one run of vitest may take. */
const RUN_TIMEOUT_MS = 10 * 60_000

/**
 * How the failure of an assertion begins: vitest reports those of `.resolves` and `.rejects` as plain errors,
 * fast-check has them as the cause of its own.
 */
const ASSERTION = /^(?:AssertionError\b|Error: promise (?:resolved|rejected) |Error: Property failed )/

const Report = v.object({
  success: v.boolean(),
  testResults: v.array(
    v.object({
      message: v.string(),
      assertionResults: v.array(
        v.object({ fullName: v.string(), status: v.string(), failureMessages: v.nullish(v.array(v.string()), []) }),
      ),
    }),
  ),
})

/** What became of a named test: it passed, an assertion failed, or something else went wrong. */
export type Outcome = { kind: 'passed' } | { kind: 'assertion'; message: string } | { kind: 'broken'; message: string }

/** Runs a named test in a copy of the project. */
export function runTest(folder: string, test: NamedTest): Outcome {
  const scratch = mkdtempSync(join(tmpdir(), 'authchart-mutant-report-'))
  try {
    const reportFile = join(scratch, 'report.json')
    const run = spawnSync(process.execPath, vitestArguments(test, reportFile), {
      cwd: folder,
      encoding: 'utf8',
      env: {
        ...process.env,
        NO_COLOR: '1',
        PATH: `${join(folder, 'node_modules/.bin')}${delimiter}${process.env['PATH'] ?? ''}`,
      },
      timeout: RUN_TIMEOUT_MS,
    })
    if (run.error !== undefined) return { kind: 'broken', message: run.error.message }
    const report = readReport(reportFile)
    return report === undefined
      ? { kind: 'broken', message: lastLines(`${run.stdout}\n${run.stderr}`) }
      : outcomeOf(report)
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function vitestArguments({ file, name }: NamedTest, reportFile: string): string[] {
  const options = ['--config', 'test/vitest.config.ts', '--reporter', 'json', '--outputFile', reportFile]
  // vitest takes a pattern, a patch gives plain text.
  const only = name === undefined ? [] : ['--testNamePattern', name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)]
  return ['node_modules/vitest/vitest.mjs', 'run', ...options, ...only, file]
}

function readReport(path: string): v.InferOutput<typeof Report> | undefined {
  try {
    return v.parse(Report, JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return undefined
  }
}

function outcomeOf({ success, testResults }: v.InferOutput<typeof Report>): Outcome {
  const results = testResults.flatMap(({ assertionResults }) => assertionResults)
  const failed = results.filter(({ status }) => status === 'failed')
  const byAssertion = failed.find(({ failureMessages }) => failureMessages.some((message) => ASSERTION.test(message)))
  if (byAssertion !== undefined) return { kind: 'assertion', message: byAssertion.fullName }
  if (failed.length > 0)
    return { kind: 'broken', message: failed.flatMap(({ failureMessages }) => failureMessages).join('\n') }
  if (!success)
    return {
      kind: 'broken',
      message: testResults.map(({ message }) => message).join('\n') || 'an error outside any test',
    }
  if (!results.some(({ status }) => status === 'passed'))
    return { kind: 'broken', message: 'no test ran: is the name right?' }
  return { kind: 'passed' }
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-15).join('\n')
}

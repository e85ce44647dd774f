/**
 * Attacks an orchestrator as strangers would, and prints how much was tried: every spelling of a forbidden address by
 * every way in, records that were tampered with, callbacks and pages, servers that repeat the secrets they were sent,
 * hostile exchanges, growth, secrets that might come to another issuer, and uses that a policy does not allow. By
 * default a part of it, which the seed chooses.
 *
 * `npm run test:attack -- --all` tries everything, `-- pages` one file, `--seed 7` another part, `--report file` writes
 * a report as vitest does. A file `test/attack/*.test.ts` belongs to it, and prints its counts by `printCounts`.
 */
import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'
import { requireNode } from '../support/require-node.ts'

requireNode(process.versions.node)
const { values, positionals } = parseArgs({
  options: {
    all: { type: 'boolean', default: false },
    seed: { type: 'string', default: process.env['AUTHCHART_MODEL_SEED'] ?? '1' },
    report: { type: 'string' },
  },
  allowPositionals: true,
})
const reporters =
  values.report === undefined ? [] : ['--reporter=default', '--reporter=json', `--outputFile.json=${values.report}`]
const { status } = spawnSync(
  'vitest',
  ['run', '--config', 'test/vitest.config.ts', '--project', 'attack', ...reporters, ...positionals],
  {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      AUTHCHART_ATTACK_SEED: values.seed,
      ...(values.all && { AUTHCHART_ATTACK_ALL: '1' }),
    },
  },
)
process.exitCode = status ?? 1

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** What a module of a project prints, as JSON. */
export async function evaluate(project: string, code: string): Promise<unknown> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], { cwd: project })
  return JSON.parse(stdout)
}

import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { beforeAll, expect, inject, test } from 'vitest'
import { SIGNED_IN, withMcpServer } from '../support/test-servers.ts'
import { installedFile } from './toolchain.ts'

const run = promisify(execFile)
const NEXT = installedFile('next/dist/bin/next')
const project = join(import.meta.dirname, '.cache/next')
const env: NodeJS.ProcessEnv = { ...process.env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1' }

/** Runs the built application on a free port, for as long as the work takes. */
async function withApplication<Result>(work: (origin: string) => Promise<Result>): Promise<Result> {
  const server = spawn(process.execPath, [NEXT, 'start', '--hostname', '127.0.0.1', '--port', '0'], {
    cwd: project,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(server, 'exit')
  try {
    for await (const line of createInterface(server.stdout)) {
      const [origin] = /http:\/\/127\.0\.0\.1:\d+/.exec(line) ?? []
      if (origin !== undefined) return await work(origin)
    }
    throw new Error('next start ended without a port')
  } finally {
    server.kill()
    await ended
  }
}

beforeAll(async () => {
  await cp(inject('consumer'), project, { recursive: true })
  await cp(join(import.meta.dirname, 'next'), project, { recursive: true })
})

test.each(['--turbopack', '--webpack'])('a route handler of Next.js, built with %s, signs in', async (bundler) => {
  await rm(join(project, '.next'), { recursive: true, force: true })
  await run(process.execPath, [NEXT, 'build', bundler], { cwd: project, env })
  const outcome = await withMcpServer((url) =>
    withApplication(async (origin) => {
      const response = await fetch(`${origin}/sign-in?${new URLSearchParams({ server: url }).toString()}`)
      return (await response.json()) as unknown
    }),
  )
  expect(outcome).toEqual(SIGNED_IN)
})

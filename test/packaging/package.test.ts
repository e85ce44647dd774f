import { expect, inject, test } from 'vitest'
import { evaluate } from './support/evaluate.ts'

const consumer = inject('consumer')

const namesOf = (entry: string): Promise<unknown> =>
  evaluate(consumer, `console.log(JSON.stringify(Object.keys(await import('${entry}')).sort()))`)

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
])('%s exports its names and no other', async (entry, names) => {
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
  return (await evaluate(consumer, code)) as { packages: unknown; builtIns: unknown }
}

test('the main entry and the Redis store load the dependencies of the package and nothing else', async () => {
  const { packages, builtIns } = await loadedBy('authchart', 'authchart/redis')
  // Neither undici, which the first request loads, nor ioredis, which the host brings, nor OpenTelemetry, an inspector, a web socket or a server of the tests.
  expect(packages).toEqual(['authchart', 'jose', 'ky', 'oauth4webapi', 'valibot', 'xstate'])
  expect(builtIns).not.toContain('node:sqlite')
})

test('require() loads the main entry in a CommonJS module', async () => {
  const code = `
    import { createRequire } from 'node:module'
    const { createAuthOrchestrator } = createRequire(import.meta.url)('authchart')
    console.log(JSON.stringify(typeof createAuthOrchestrator))`
  expect(await evaluate(consumer, code)).toBe('function')
})

test('an orchestrator of the built package reads the status of a new connection', async () => {
  const code = `
    import { createAuthOrchestrator } from 'authchart'
    const auth = createAuthOrchestrator({ client: { name: 'Acme', redirectUri: 'https://acme.example/callback' } })
    const { state } = await auth.connection({ tenant: 't', server: 'https://mcp.example/mcp' }).status()
    await auth.close()
    console.log(JSON.stringify(state))`
  expect(await evaluate(consumer, code)).toBe('disconnected')
})

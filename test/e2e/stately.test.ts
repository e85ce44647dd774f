import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test, vi } from 'vitest'
import { connectionMachine } from '../../machines/connection.ts'
import { registrationMachine } from '../../machines/registration.ts'
import { createStatelyInspector } from '../../src/adapters/stately/index.ts'
import { createAuthOrchestrator, MemoryStore } from '../../src/index.ts'
import { listen, tap, type InspectorMessage } from '../support/inspector-client.ts'
import { startProgram } from '../support/processes/program.ts'
import { REDIRECT_URI, soon, useStage } from '../support/processes/stage.ts'
import { freePort } from '../support/redis-server.ts'
import { UserAgent } from '../support/user-agent.ts'

const stage = useStage({ accessTokenFormat: 'opaque' })

/** A store that counts as outside the process, so that keys are asked for. */
class OutsideStore extends MemoryStore {
  override readonly insideProcess = false as never
}

/** A definition as the inspector is sent it: functions by their names. */
const definitionOf = (config: object): unknown =>
  JSON.parse(
    JSON.stringify(config, (_, value: unknown) => (typeof value === 'function' ? { type: value.name } : value)),
  )

const SECRET_FIELDS = ['access_token', 'client_secret', 'code', 'code_verifier', 'refresh_token', 'token']

/** Everything that is secret in what a client and an authorization server say to each other, by the names of the fields. */
function secretsOf(text: string): [string, string][] {
  const form = [...new URLSearchParams(text)]
  const json: [string, unknown][] = text.startsWith('{') ? Object.entries(JSON.parse(text) as object) : []
  return [...form, ...json].flatMap(([name, value]): [string, string][] =>
    SECRET_FIELDS.includes(name) && typeof value === 'string' ? [[name, value]] : [],
  )
}

/** The states that the runs of a chart reached, in order; what is the same as before is said once. */
function placesOf(messages: readonly InspectorMessage[], chart: string): string[] {
  const sessions = messages.filter(({ name }) => name === chart).map(({ sessionId }) => sessionId)
  return messages
    .filter(({ type, sessionId }) => type === '@xstate.snapshot' && sessions.includes(sessionId))
    .map(({ snapshot }) => JSON.stringify(snapshot?.value).replaceAll(/[{}"]/g, '').replaceAll(':', '.'))
    .filter((place, index, places) => place !== places[index - 1])
}

test("the Stately inspector receives every state of a connection's life and nothing secret", async () => {
  const secrets = new Set<string>()
  const fields = new Set<string>()
  const note = (text: string): void => {
    for (const [name, secret] of secretsOf(text)) {
      fields.add(name)
      secrets.add(secret)
    }
  }
  const keys = {
    name: Buffer.from('planted-name-key-0123456789abcde'),
    sealing: [{ id: 'k1', secret: Buffer.from('planted-sealing-key-0123456789ab') }],
  }
  for (const key of [keys.name, ...keys.sealing.map(({ secret }) => secret)])
    for (const encoding of ['utf8', 'base64', 'base64url', 'hex'] as const)
      secrets.add(key.toString(encoding).replace(/=+$/, ''))

  const stately = await createStatelyInspector({ port: 0 })
  onTestFinished(() => stately.close())
  const [page, wire] = await Promise.all([listen(stately.url), tap(stately.url)])
  onTestFinished(() => void [page, wire].map((client) => client.close()))

  const auth = createAuthOrchestrator({
    client: { name: 'Acme', redirectUri: REDIRECT_URI },
    store: new OutsideStore(),
    keys,
    policy: { returnToOrigins: ['https://planted-return.example'] },
    network: {
      allow: ['127.0.0.1'],
      // Sees what is sent and what comes back; changes neither.
      async fetch(input, init) {
        const request = new Request(input, init)
        note(await request.clone().text())
        const authorization = request.headers.get('authorization')
        if (authorization !== null) secrets.add(authorization.split(' ')[1] ?? '')
        const response = await fetch(request)
        note(await response.clone().text())
        return response
      },
    },
    inspect: stately.inspect,
  })
  onTestFinished(() => auth.close())

  const binding = 'planted-binding-of-the-browser'
  const connection = auth.connection({ tenant: 'planted-tenant', user: 'planted-user', server: stage.mcp.url })
  const begun = await connection.authorize({
    binding,
    returnTo: 'https://planted-return.example/',
    parameters: { login_hint: 'planted-hint' },
  })
  if (begun.status !== 'redirect') throw new Error('no redirect')
  const callback = await new UserAgent().signIn(begun.authorizationUrl, { login: 'alice' })
  const { status } = await auth.completeCallback(callback, { binding })
  expect(status).toBe('authorized')
  const { value: rejectedToken } = await connection.accessToken()
  const { value: renewed } = await connection.accessToken({ rejectedToken })
  await connection.disconnect()

  for (const secret of ['planted-', begun.state, ...begun.state.split('.'), rejectedToken, renewed]) secrets.add(secret)
  for (const value of new URL(begun.authorizationUrl).searchParams.getAll('code_challenge')) secrets.add(value)
  secrets.add(new URL(callback).searchParams.get('code') ?? '')

  // The last thing that happens: the run of the disconnect stops.
  await vi.waitFor(() => {
    expect(page.messages.at(-1)).toMatchObject({ snapshot: { status: 'stopped', value: { resting: 'disconnected' } } })
    expect(wire.bytes()).toContain('"disconnected"},"tags":["storable"]},"event":{"type":"xstate.stop"')
  })

  expect([...fields].toSorted()).toEqual(SECRET_FIELDS)
  expect(secrets).not.toContain('')
  const received = [wire.bytes(), JSON.stringify(page.messages)]
  for (const secret of secrets) {
    for (const form of new Set([secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64url')]))
      expect(received.filter((text) => text.includes(form))).toEqual([])
  }

  const definitions = page.messages.filter(({ name }) => name === 'connection' || name === 'registration')
  expect(definitions.map(({ name, parentId }) => [name, parentId])).toEqual([
    ['connection', undefined],
    ['registration', undefined],
    ['connection', undefined],
    ['connection', undefined],
    ['connection', undefined],
  ])
  for (const { name, definition = '' } of definitions) {
    const { config } = name === 'connection' ? connectionMachine : registrationMachine
    expect(JSON.parse(definition)).toEqual(definitionOf(config))
  }
  expect(placesOf(page.messages, 'connection')).toEqual([
    'resting.disconnected',
    'discovering.protectedResource',
    'discovering.authorizationServer',
    'registering',
    'preparingRequest',
    'resting.awaitingCallback',
    'exchanging.claimed',
    'exchanging.requesting',
    'resting.authorized',
    'refreshing.claimed',
    'refreshing.requesting',
    'resting.authorized',
    'disconnecting.claimed',
    'disconnecting.revoking',
    'resting.disconnected',
  ])
  expect(placesOf(page.messages, 'registration')).toEqual([
    'resting.unregistered',
    'registering.claimed',
    'registering.requesting',
    'resting.registered',
  ])
})

test('the Stately example shows a sign-in to a page that is opened afterwards', async () => {
  const [port, inspectorPort] = [await freePort(), await freePort()]
  const example = fileURLToPath(new URL('../examples/stately.ts', import.meta.url))
  const env = { ...process.env, MCP_SERVER: stage.mcp.url, PORT: String(port), INSPECTOR_PORT: String(inspectorPort) }
  const program = startProgram(process.execPath, [example], { env })
  onTestFinished(async () => void (await program.stop('SIGKILL')))
  const inspectorUrl = `http://127.0.0.1:${inspectorPort}/`
  await program.printed(/\n/)
  expect(program.output()).toBe(`open ${inspectorUrl} and then http://localhost:${port}/start\n`)

  const browser = new UserAgent()
  const callback = await browser.signIn(`http://localhost:${port}/start`, { login: 'alice' })
  expect((await browser.open(callback)).status).toBe(200)
  // A page that is opened late sees what has been.
  const page = await listen(inspectorUrl)
  await soon(() => expect(placesOf(page.messages, 'connection').at(-1)).toBe('resting.authorized'))
  page.close()

  expect(await program.stop('SIGTERM')).toBe(0)
})

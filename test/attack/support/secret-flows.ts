import type { AuthOrchestrator, AuthOrchestratorOptions, Connection } from '../../../src/index.ts'
import { isAuthorizationError } from '../../../src/index.ts'
import { EVENT_NAMES } from '../../support/event-names.ts'
import { visible } from '../../support/visible.ts'
import type { Peer, Seen } from '../../unit/connection/peer.ts'
import { orchestrate, type Redirect, type World } from '../../unit/connection/world.ts'
import { ECHOED_PATH, everythingOf } from './echoes.ts'
import { MARK, type Outputs } from './outputs.ts'

/** One deployment under search, and what its flows share. */
export interface Stage {
  readonly world: World
  readonly outputs: Outputs
  /** Everything of one call but what it gives its caller: those members are the caller's. */
  call(where: string, work: () => Promise<object | undefined>): Promise<Record<string, unknown>>
}

/** What of a result is meant for its caller alone. */
const FOR_THE_CALLER = new Set(['actions', 'authorizationUrl', 'state', 'value'])

/** Notes everything that an orchestrator with these options lets out. */
export function searched(options: Partial<AuthOrchestratorOptions>, outputs: Outputs): AuthOrchestrator {
  const orchestrator = orchestrate({ ...options, inspect: (record) => outputs.note('inspection', record) })
  for (const name of EVENT_NAMES) orchestrator.on(name, (event) => outputs.note('an event', event))
  outputs.note('an orchestrator', orchestrator)
  return orchestrator
}

/** Runs a call, and notes what it throws, or returns beside what is meant for its caller. */
export async function noted(
  outputs: Outputs,
  where: string,
  work: () => Promise<object | undefined>,
): Promise<Record<string, unknown>> {
  try {
    const result: Record<string, unknown> = { ...(await work()) }
    outputs.note(where, Object.fromEntries(Object.entries(result).filter(([name]) => !FOR_THE_CALLER.has(name))))
    return result
  } catch (error) {
    outputs.note(
      isAuthorizationError(error) ? `an AuthorizationError of ${where}` : `an error of ${where}`,
      visible(error),
    )
    return {}
  }
}

/** The secrets of what a server was sent. */
export function addSent({ seen }: Peer, outputs: Outputs): void {
  for (const { body, headers, path } of seen) {
    const form = new URLSearchParams(body)
    for (const name of [
      'code',
      'code_verifier',
      'state',
      'refresh_token',
      'client_secret',
      'token',
      'client_assertion',
    ])
      outputs.addSecret(name, form.get(name))
    for (const name of ['assertion', 'subject_token']) outputs.addSecret('an assertion', form.get(name))
    const [, credentials] = / (.+)/.exec(headers.authorization ?? '') ?? []
    outputs.addSecret('authorization', credentials)
    if (!path.startsWith(`${ECHOED_PATH}?`)) outputs.note('a requested URL', path)
  }
}

/** Lets a route repeat what it is sent until `restore` is called. */
export function useEcho(peer: Peer, route: string, answer: (sent: string) => object): { restore: () => void } {
  const original = peer.routes[route]
  peer.routes[route] = (seen: Seen) => answer(everythingOf(seen))
  return {
    restore() {
      if (original === undefined) Reflect.deleteProperty(peer.routes, route)
      else peer.routes[route] = original
    },
  }
}

/** Signs in with everything that a browser brings, and notes every page and result on the way. */
export async function signInSearched(stage: Stage, orchestrator: AuthOrchestrator, user: string): Promise<Connection> {
  const { world, outputs, call } = stage
  const connection = orchestrator.connection({ tenant: 't1', user, server: world.server })
  outputs.note('a connection', connection)
  const binding = `${MARK}binding-${user}`
  const result = await call('authorize()', () => connection.authorize({ force: true, binding }))
  const { authorizationUrl, state } = result as { authorizationUrl?: string; state?: string }
  if (authorizationUrl === undefined || state === undefined) return connection
  for (const secret of [state, state.split('.')[1], authorizationUrl]) outputs.addSecret('state', secret)
  const redirect: Redirect = {
    status: 'redirect',
    authorizationUrl: whole(world, authorizationUrl),
    state,
    expiresAt: 0,
    actions: [],
  }
  const cookie =
    orchestrator.redirectResponse({ ...redirect, expiresAt: Date.now() + 60_000 }).headers.get('set-cookie') ?? ''
  outputs.addSecret('the binding cookie', /=([^;]+)/.exec(cookie)?.[1])
  const url = world.callback(redirect)
  // Callbacks that are rejected: of another browser, of another issuer, repeated, without a code.
  for (const bad of [url, `${url}&code=${MARK}code-2`, world.callback(redirect, { iss: 'https://evil.example' })]) {
    const page = await orchestrator.handleCallback(new Request(bad))
    outputs.note('a page', `${await page.text()} ${JSON.stringify([...page.headers])}`)
    await call('completeCallback()', () => orchestrator.completeCallback(bad, { binding: 'another' }))
  }
  await call('completeCallback()', () => orchestrator.completeCallback(world.callback(redirect), { binding }))
  return connection
}

/** The authorization request that was pushed, in place of the URL that only names it. */
function whole(world: World, authorizationUrl: string): string {
  const pushed = world.as.seen.findLast(({ path }) => path === '/par')
  return new URL(authorizationUrl).searchParams.has('request_uri') && pushed !== undefined
    ? `${world.issuer}/authorize?${pushed.body}`
    : authorizationUrl
}

/** Uses a connection in every way, each of which may fail. */
export async function useSearched({ world, outputs, call }: Stage, connection: Connection): Promise<void> {
  const status = async (): Promise<void> => void (await call('status()', () => connection.status()))
  await status()
  const token = await call('accessToken()', () => connection.accessToken())
  const rejectedToken = typeof token['value'] === 'string' ? token['value'] : `${MARK}none`
  outputs.addSecret('access_token', rejectedToken)
  const fetched = (init?: RequestInit) => async (): Promise<object> => {
    const response = await connection.fetch(world.server, init)
    await response.text().catch(() => undefined)
    return { status: response.status }
  }
  await call('fetch()', fetched())
  await call('fetch()', fetched({ method: 'POST', body: `${MARK}body` }))
  await call('fetch()', () => connection.fetch(`https://other.example/?token=${MARK}query`))
  await call('accessToken()', () => connection.accessToken({ rejectedToken }))
  await status()
  await call('wake()', async () => (await connection.wake()) as undefined)
  await call('import()', () =>
    connection.import({ tokens: { accessToken: `${MARK}imported\n`, refreshToken: `${MARK}imported-refresh` } }),
  )
  await status()
  await call('authorize()', () => connection.authorize({ parameters: { nonce: `${MARK}parameter` } }))
  await call('disconnect()', () => connection.disconnect())
  await status()
}

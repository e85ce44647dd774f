import { setTimeout as delay } from 'node:timers/promises'
import type { Acknowledged, Act, Flow } from './flows.ts'
import { CallError, type Caller } from './fault-process.ts'
import { persist, StuckError } from './persist.ts'
import { callback, consent, type Scene, signIn } from './scene.ts'

/** After so many sign-ins in a row a connection does not come back. */
const MAX_SIGN_INS = 2

/** More than the lifetime of any token. */
const RENEWED = { minTtlMs: 7_200_000 }

const needsUser = (error: unknown): boolean => error instanceof CallError && error.nextAction === 'authorize'

/**
 * Does in process B what a host and a person do after a fault: repeat the call, load the callback page again, sign in.
 *
 * @param acknowledged What process A's call resolved with: then nothing of it is done again.
 * @returns How often a person who had consented was asked once more.
 */
export async function carryOn(scene: Scene, flow: Flow, act: Act, acknowledged?: Acknowledged): Promise<number> {
  try {
    await visit(scene, acknowledged ?? (await persist(scene, () => act(scene.b))))
  } catch (error) {
    // The next call says what is missing.
    if (!needsUser(error)) throw error
  }
  if (flow.goal === 'disconnected') {
    await untilRevoked(scene)
    return 0
  }
  for (let asked = 0; asked <= MAX_SIGN_INS;) {
    try {
      await usableToken(scene, flow, scene.b)
      // What was lost may show only at the next renewal.
      await usableToken(scene, flow, scene.b, RENEWED)
      return asked
    } catch (error) {
      if (!needsUser(error)) throw error
    }
    if (scene.hasConsented || flow.isNonInteractive) asked += 1
    if (flow.isNonInteractive) await persist(scene, () => act(scene.b))
    else await signIn(scene, { force: true, ...(flow.scope !== undefined && { scope: flow.scope }) })
  }
  throw new StuckError(`no token after ${MAX_SIGN_INS} sign-ins`)
}

/** Opens the URL that a call resolved with, consents and lets the callback arrive at process B. */
export async function visit(scene: Scene, { authorizationUrl }: Acknowledged): Promise<void> {
  if (authorizationUrl === undefined) return
  const url = await consent(scene, { status: 'redirect', authorizationUrl, state: '', expiresAt: 0, actions: [] })
  await persist(scene, () => callback(scene.b, url))
}

/** A token that the server accepts, with the scope that the flow needs. */
export async function usableToken(
  scene: Scene,
  { scope }: Flow,
  caller: Caller,
  options: { minTtlMs?: number } = {},
): Promise<string> {
  const { of, server } = scene
  let token = await persist(scene, () => caller.accessToken(of, options))
  // What `connection.fetch` does after a 401.
  if (!server.accepts(token.value))
    token = await persist(scene, () => caller.accessToken(of, { rejectedToken: token.value }))
  if (!server.accepts(token.value)) throw new StuckError('accessToken() returns a token that the server rejects')
  const granted = token.scope?.split(' ') ?? []
  if (scope?.split(' ').some((each) => !granted.includes(each)))
    throw new CallError({
      name: 'Scope',
      code: 'INSUFFICIENT_SCOPE',
      message: 'the scope is missing',
      nextAction: 'authorize',
    })
  return token.value
}

/** Wakes the connection, as a scheduler does, until the server has revoked its tokens. */
async function untilRevoked({ of, b, server, deadline }: Scene): Promise<void> {
  while (server.validTokens > 0) {
    const { nextWakeAt } = await b.status(of)
    if (nextWakeAt === undefined) throw new StuckError('disconnected, and nothing is due: its tokens are still valid')
    if (performance.now() > deadline) throw new StuckError('the tokens are still valid')
    await delay(Math.min(1_000, Math.max(50, nextWakeAt - Date.now())))
    await b.wake(of)
  }
}

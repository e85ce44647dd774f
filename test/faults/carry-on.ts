import type { Acknowledged, Act, Flow } from './flows.ts'
import { CallError, type Caller } from './fault-process.ts'
import { persist, StuckError } from './persist.ts'
import { callback, consent, type Scene, signIn } from './scene.ts'

/** After so many sign-ins in a row a connection does not come back. */
const MAX_SIGN_INS = 2

/** The lifetime of a new token but for a millisecond. */
const RENEWED = { minTtlMs: 3_599_999 }

/** Whether a call was rejected because a person has to sign in. */
export const needsUser = (error: unknown): boolean => error instanceof CallError && error.nextAction === 'authorize'

/**
 * Does what a host and a person do after a fault: repeat the call, load the callback page again, sign in.
 *
 * @param options.caller Repeats the call: process A if it lives. All that follows happens in process B.
 * @param options.acknowledged What process A's call resolved with: then nothing of it is done again.
 * @returns How often a person who had consented was asked once more, rightly or not.
 */
export async function carryOn(
  scene: Scene,
  flow: Flow,
  act: Act,
  { caller, acknowledged }: { caller: Caller; acknowledged?: Acknowledged | undefined },
): Promise<number> {
  let isToldToSignIn = false
  try {
    await visit(scene, acknowledged ?? (await persist(scene, () => act(caller))))
  } catch (error) {
    if (!needsUser(error)) throw error
    isToldToSignIn = true
  }
  if (flow.goal === 'disconnected') return Number(isToldToSignIn)
  for (let asked = 0; asked <= MAX_SIGN_INS;) {
    try {
      await usableToken(scene, flow, scene.b)
      // What was lost may show only at the next renewal.
      await usableToken(scene, flow, scene.b, RENEWED)
      // There were tokens all the time: the person was asked for nothing.
      return isToldToSignIn ? Math.max(asked, 1) : asked
    } catch (error) {
      if (!needsUser(error)) throw error
    }
    if (scene.hasConsented || flow.isNonInteractive) asked += 1
    if (flow.isNonInteractive) await persist(scene, () => act(scene.b))
    else await signIn(scene, scene.b, { force: true, ...(flow.scope !== undefined && { scope: flow.scope }) })
  }
  throw new StuckError(`no token after ${MAX_SIGN_INS} sign-ins`)
}

/** Opens the URL that a call resolved with, consents and lets the callback arrive at process B. */
export async function visit(scene: Scene, { authorizationUrl }: Acknowledged): Promise<void> {
  if (authorizationUrl === undefined) return
  const { of, b, server } = scene
  let callbackUrl = await server.as.approve(authorizationUrl).catch(() => undefined)
  if (callbackUrl === undefined) {
    scene.errorPages += 1
    // The host's way out.
    callbackUrl = await consent(scene, await persist(scene, () => b.authorize(of, { reregister: true })))
  }
  scene.hasConsented = true
  await persist(scene, () => callback(b, callbackUrl))
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
  if (!server.accepts(token.value)) {
    scene.deadTokens += 1
    // What `connection.fetch` does after a 401.
    token = await persist(scene, () => caller.accessToken(of, { rejectedToken: token.value }))
  }
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

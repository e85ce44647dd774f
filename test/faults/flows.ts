import { setTimeout as delay } from 'node:timers/promises'
import type { ImportOptions } from '../../src/connection/call-options.ts'
import type { PolicyOptions } from '../../src/options/policy.ts'
import type { Caller } from './fault-process.ts'
import { persist } from './persist.ts'
import { callback, consent, type Scene, signIn, STATIC_CLIENT } from './scene.ts'

/** What a call of a flow resolved with, as far as somebody relies on it. */
export interface Acknowledged {
  /** Where the user was sent. */
  readonly authorizationUrl?: string | undefined
  /** The token that the caller got. */
  readonly token?: string | undefined
}

export type Act = (caller: Caller) => Promise<Acknowledged>

/** Something that a host or a person does with a connection, in one process. */
export interface Flow {
  readonly name: string
  /** What the connection is afterwards. */
  readonly goal: 'authorized' | 'disconnected'
  /** A scope that the tokens have to have afterwards. */
  readonly scope?: string
  /** Whether tokens are obtained without a user, so that whoever has no token simply calls again. */
  readonly isNonInteractive?: true
  /** What is different in the process that does what comes before. */
  readonly policy?: PolicyOptions
  /** Does what comes before, and returns what process A does. */
  readonly prepare: (scene: Scene) => Promise<Act>
}

/** The lifetime of access tokens that have to expire before a flow begins. */
const SHORT_TTL_SECONDS = 1
/** The lifetime of an attempt that has to run out before a flow begins. */
const ATTEMPT_TTL_MS = 500
/** More than one load takes longer than another. */
const LOAD_MS = 500
const WIDER_SCOPE = 'read write'

const authorize =
  ({ of }: Scene, options: Parameters<Caller['authorize']>[1] = {}): Act =>
  async (caller) => {
    const result = await caller.authorize(of, options)
    return result.status === 'redirect' ? { authorizationUrl: result.authorizationUrl } : {}
  }

const openCallback =
  (url: string): Act =>
  async (caller) => {
    await callback(caller, url)
    return {}
  }

const getToken =
  ({ of }: Scene, options: Parameters<Caller['accessToken']>[1] = {}): Act =>
  async (caller) => ({ token: (await caller.accessToken(of, options)).value })

/** Does something whose tokens expire at once, and waits for that. */
async function withShortTokens(scene: Scene, work: () => Promise<unknown>): Promise<void> {
  const { switches } = scene.server.as
  switches.accessTokenTtlSeconds = SHORT_TTL_SECONDS
  await work()
  switches.accessTokenTtlSeconds = undefined
  delete switches.accessTokenTtlSeconds
  await delay(SHORT_TTL_SECONDS * 1_000)
}

/** Waits until what comes next is due in a process that comes to the record now: later by the latency of its saves. */
async function untilDue(scene: Scene): Promise<void> {
  const { of, b, clockOffsetMs } = scene
  for (;;) {
    const { nextWakeAt } = await persist(scene, () => b.status(of))
    if (nextWakeAt === undefined) throw new Error('nothing is due')
    const waitMs = nextWakeAt - clockOffsetMs - Date.now() + LOAD_MS
    if (waitMs <= 0) return
    await delay(waitMs)
  }
}

const clientCredentials = (scene: Scene): Parameters<Caller['authorize']>[1] => ({
  grant: 'client_credentials',
  clientInformation: { ...STATIC_CLIENT, issuer: scene.server.as.issuer },
})

/** Credentials that the host obtained in another way. */
async function foreignCredentials(scene: Scene): Promise<ImportOptions> {
  const other = { ...scene, of: { ...scene.of, label: 'other' } }
  const { actions } = await signIn(other, scene.before)
  scene.hasConsented = true
  const options: ImportOptions = {}
  for (const { type, data } of actions) {
    if (type === 'saveTokens') options.tokens = data
    if (type === 'saveClientInformation') options.clientInformation = data
  }
  return options
}

export const FLOWS: readonly Flow[] = [
  {
    name: 'first sign-in',
    goal: 'authorized',
    prepare: async (scene) => authorize(scene),
  },
  {
    name: 'callback',
    goal: 'authorized',
    prepare: async (scene) =>
      openCallback(await consent(scene, await persist(scene, () => scene.before.authorize(scene.of)))),
  },
  {
    name: 'callback through a token call',
    goal: 'authorized',
    prepare: async (scene) => {
      const url = await consent(scene, await persist(scene, () => scene.before.authorize(scene.of)))
      const { as } = scene.server
      as.injectFault({ when: 'before', answer: 503 })
      while (as.requestLog.count({ fault: 'before 503' }) === 0) await scene.before.completeCallback(url)
      // The code waits for its backoff.
      await untilDue(scene)
      return getToken(scene)
    },
  },
  {
    name: 'refresh',
    goal: 'authorized',
    prepare: async (scene) => {
      await withShortTokens(scene, () => signIn(scene, scene.before))
      return getToken(scene)
    },
  },
  {
    name: 'early refresh',
    goal: 'authorized',
    prepare: async (scene) => {
      await signIn(scene, scene.before)
      return getToken(scene, { minTtlMs: 3_599_999 })
    },
  },
  {
    name: 'client credentials',
    goal: 'authorized',
    isNonInteractive: true,
    prepare: async (scene) => authorize(scene, clientCredentials(scene)),
  },
  {
    name: 'client credentials renewal',
    goal: 'authorized',
    isNonInteractive: true,
    prepare: async (scene) => {
      await withShortTokens(scene, () =>
        persist(scene, () => scene.before.authorize(scene.of, clientCredentials(scene))),
      )
      return getToken(scene)
    },
  },
  {
    name: 'step-up',
    goal: 'authorized',
    scope: WIDER_SCOPE,
    prepare: async (scene) => {
      await signIn(scene, scene.before, { scope: 'read' })
      return authorize(scene, { challenge: `Bearer error="insufficient_scope", scope="${WIDER_SCOPE}"` })
    },
  },
  {
    name: 'callback of a step-up',
    goal: 'authorized',
    scope: WIDER_SCOPE,
    prepare: async (scene) => {
      await signIn(scene, scene.before, { scope: 'read' })
      const challenge = `Bearer error="insufficient_scope", scope="${WIDER_SCOPE}"`
      return openCallback(
        await consent(scene, await persist(scene, () => scene.before.authorize(scene.of, { challenge }))),
      )
    },
  },
  {
    name: 'disconnect',
    goal: 'disconnected',
    prepare: async (scene) => {
      await signIn(scene, scene.before)
      return async (caller) => {
        await caller.disconnect(scene.of)
        return {}
      }
    },
  },
  {
    name: 'import',
    goal: 'authorized',
    prepare: async (scene) => {
      const credentials = await foreignCredentials(scene)
      return async (caller) => {
        await caller.import(scene.of, credentials)
        return {}
      }
    },
  },
  {
    name: 'renewal of an import',
    goal: 'authorized',
    prepare: async (scene) => {
      await withShortTokens(scene, async () => {
        const credentials = await foreignCredentials(scene)
        await persist(scene, () => scene.before.import(scene.of, credentials))
      })
      return getToken(scene)
    },
  },
  {
    name: 'registration forgotten, replaced by the host',
    goal: 'authorized',
    prepare: async (scene) => {
      await signIn(scene, scene.before)
      scene.server.as.pruneRegistrations()
      return authorize(scene, { reregister: true })
    },
  },
  {
    name: 'registration forgotten, found after an attempt',
    goal: 'authorized',
    policy: { attemptTtlMs: ATTEMPT_TTL_MS },
    prepare: async (scene) => {
      await persist(scene, () => scene.before.authorize(scene.of))
      // The server reports it only on its own page, and sends no browser back.
      scene.server.as.pruneRegistrations()
      await delay(ATTEMPT_TTL_MS)
      return authorize(scene)
    },
  },
  {
    name: 'registration forgotten, found by a renewal',
    goal: 'authorized',
    prepare: async (scene) => {
      await withShortTokens(scene, () => signIn(scene, scene.before))
      scene.server.as.pruneRegistrations()
      // No client could keep these tokens: their client is gone.
      scene.hasConsented = false
      return authorize(scene)
    },
  },
]

import { describe, expectTypeOf, test } from 'vitest'
import {
  type AccessToken,
  type AnyAuthorizationError,
  type AuthOrchestrator,
  type AuthOrchestratorOptions,
  type CallbackResult,
  type Connection,
  type ConnectionIdentity,
  createAuthOrchestrator,
  type Failure,
  type FailureCode,
  type HostAction,
  isAuthorizationError,
  type PolicyOptions,
} from '../../src/index.ts'

declare const auth: AuthOrchestrator
declare const connection: Connection
declare const caught: unknown
const client = { name: 'Acme', redirectUri: 'https://acme.example/callback' }

describe('authorize()', () => {
  test('is narrowed by its status', async () => {
    const result = await connection.authorize()
    expectTypeOf(result.status).toEqualTypeOf<'authorized' | 'redirect'>()
    expectTypeOf(result.actions).toEqualTypeOf<HostAction[]>()
    // @ts-expect-error only a redirect has a URL
    void result.authorizationUrl
    if (result.status === 'authorized') return
    expectTypeOf(result.authorizationUrl).toEqualTypeOf<string>()
    expectTypeOf(result.expiresAt).toEqualTypeOf<number>()
    expectTypeOf(auth.redirectResponse).parameter(0).toEqualTypeOf(result)
  })

  test('takes no option that does not exist, and no grant of another name', () => {
    // @ts-expect-error unknown
    void connection.authorize({ scopes: 'a' })
    // @ts-expect-error another name
    void connection.authorize({ grant: 'password' })
  })
})

describe('the other calls', () => {
  test('say what they bring', () => {
    expectTypeOf(connection.accessToken).returns.resolves.toEqualTypeOf<AccessToken>()
    expectTypeOf(auth.completeCallback).returns.resolves.toEqualTypeOf<CallbackResult>()
    expectTypeOf(auth.handleCallback).toEqualTypeOf<(request: Request) => Promise<Response>>()
  })

  test('fetch can be handed on where the platform’s own is wanted', () => {
    const handedOn: typeof fetch = connection.fetch
    expectTypeOf(handedOn).returns.resolves.toEqualTypeOf<Response>()
  })
})

describe('options', () => {
  test('a policy is values, or a function of the connection', () => {
    const options = {
      client,
      policy: (identity) => {
        expectTypeOf(identity).toEqualTypeOf<ConnectionIdentity>()
        return { leaseMs: identity.tenant === 'slow' ? 60_000 : 30_000 }
      },
    } satisfies AuthOrchestratorOptions
    expectTypeOf(options.policy).returns.toExtend<PolicyOptions>()
    expectTypeOf(createAuthOrchestrator).toBeCallableWith({ client, policy: { cacheMs: 0 } })
    // @ts-expect-error another unit
    createAuthOrchestrator({ client, policy: { leaseSeconds: 30 } })
  })

  test('may be undefined, so that a host can pass on what it does not have', () => {
    expectTypeOf(createAuthOrchestrator).toBeCallableWith({ client, store: undefined, keys: undefined })
  })
})

describe('events', () => {
  test('each have a payload of their own', () => {
    auth.on('failed', (event) => {
      expectTypeOf(event).toEqualTypeOf<{ connection: ConnectionIdentity; at: number; failure: Failure }>()
    })
    auth.on('refreshed', ({ generation }) => expectTypeOf(generation).toEqualTypeOf<number>())
    expectTypeOf(auth.on<'authorized'>).returns.toEqualTypeOf<() => void>()
    // @ts-expect-error there is no such event
    auth.on('signedIn', () => {})
    // @ts-expect-error a failure is told with `failed` alone
    auth.on('authorized', ({ failure }) => void failure)
  })
})

describe('errors', () => {
  test('are narrowed by their code, and their failure with them', () => {
    if (!isAuthorizationError(caught)) return
    expectTypeOf(caught).toEqualTypeOf<AnyAuthorizationError>()
    expectTypeOf(caught.code).toEqualTypeOf<FailureCode>()
    if (caught.code === 'RATE_LIMITED') expectTypeOf(caught.failure.code).toEqualTypeOf<'RATE_LIMITED'>()
    // @ts-expect-error not a code of ours
    if (caught.code === 'invalid_grant') return
  })
})

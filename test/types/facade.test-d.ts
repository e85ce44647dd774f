import { describe, expectTypeOf, test } from 'vitest'
import {
  type AccessToken,
  type AnyAuthorizationError,
  type AuthOrchestrator,
  type AuthOrchestratorOptions,
  type CallbackResult,
  type Connection,
  type ConnectionIdentity,
  type ConnectionStatus,
  createAuthOrchestrator,
  type Failure,
  type FailureCode,
  type HostAction,
  isAuthorizationError,
  type PolicyOptions,
  type WakeDueResult,
} from '../../src/index.ts'

declare const auth: AuthOrchestrator
declare const connection: Connection
declare const caught: unknown
const client = { name: 'Acme', redirectUri: 'https://acme.example/callback' }

describe('authorize()', () => {
  test('the result of authorize() is narrowed by its status', async () => {
    const result = await connection.authorize()
    expectTypeOf(result.status).toEqualTypeOf<'authorized' | 'notRequired' | 'redirect'>()
    expectTypeOf(result.actions).toEqualTypeOf<HostAction[]>()
    // @ts-expect-error only a redirect has a URL
    void result.authorizationUrl
    if (result.status !== 'redirect') return
    expectTypeOf(result.authorizationUrl).toEqualTypeOf<string>()
    expectTypeOf(result.expiresAt).toEqualTypeOf<number>()
    expectTypeOf(auth.redirectResponse).parameter(0).toEqualTypeOf(result)
  })

  test('authorize() rejects unknown options and unknown grants', () => {
    // @ts-expect-error unknown
    void connection.authorize({ scopes: 'a' })
    // @ts-expect-error another name
    void connection.authorize({ grant: 'password' })
  })
})

describe('connections()', () => {
  test('an entry of connections() is narrowed by its failure, and a filter of another state is rejected', async () => {
    for await (const entry of auth.connections({ tenant: 't1', state: 'authorized' })) {
      if ('failure' in entry) expectTypeOf(entry).toEqualTypeOf<{ key: string; failure: Failure }>()
      else expectTypeOf(entry).toEqualTypeOf<{ identity: ConnectionIdentity; status: ConnectionStatus }>()
    }
    // @ts-expect-error unknown
    void auth.connections({ state: 'asleep' })
    expectTypeOf(auth.wakeDue).returns.resolves.toEqualTypeOf<WakeDueResult>()
  })
})

describe('other methods', () => {
  test('accessToken, completeCallback and handleCallback have their documented return types', () => {
    expectTypeOf(connection.accessToken).returns.resolves.toEqualTypeOf<AccessToken>()
    expectTypeOf(auth.completeCallback).returns.resolves.toEqualTypeOf<CallbackResult>()
    expectTypeOf(auth.handleCallback).toEqualTypeOf<(request: Request) => Promise<Response>>()
  })

  test('connection.fetch is assignable to the global fetch', () => {
    const handedOn: typeof fetch = connection.fetch
    expectTypeOf(handedOn).returns.resolves.toEqualTypeOf<Response>()
  })
})

describe('options', () => {
  test('the policy option is an object or a function of the connection', () => {
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

  test('optional options accept undefined', () => {
    expectTypeOf(createAuthOrchestrator).toBeCallableWith({ client, store: undefined, keys: undefined })
  })
})

describe('events', () => {
  test('each event has its own payload type', () => {
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
  test('an error and its failure are narrowed by the code', () => {
    if (!isAuthorizationError(caught)) return
    expectTypeOf(caught).toEqualTypeOf<AnyAuthorizationError>()
    expectTypeOf(caught.code).toEqualTypeOf<FailureCode>()
    if (caught.code === 'RATE_LIMITED') expectTypeOf(caught.failure.code).toEqualTypeOf<'RATE_LIMITED'>()
    // @ts-expect-error not a code of ours
    if (caught.code === 'invalid_grant') return
  })
})

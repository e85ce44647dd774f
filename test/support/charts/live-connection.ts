import { connectionMachine } from '../../../machines/connection.ts'
import { connectionPorts } from '../../../machines/ports.ts'
import type { ConnectionContext } from '../../../src/schemas/connection-context.ts'
import { CODE_TTL_MS, dynamicClient, identity, issuer, metadata, resource, tokenResult, wishes } from './facts.ts'
import { type Answer, LiveChart } from './live-chart.ts'

type At = { at: number }

/** A live connection whose ports all do well; a test replaces the answers that it is about. */
export class LiveConnection extends LiveChart<ConnectionContext> {
  #requests = 0

  constructor(answers: Record<string, Answer> = {}) {
    super(
      connectionMachine,
      connectionPorts,
      { identity },
      {
        discoverResource: ({ at }: At) => ({ at, resource }),
        discoverServer: ({ at }: At) => ({ at, metadata }),
        ensureRegistration: ({ at }: At) => ({ at, client: dynamicClient }),
        buildAuthorizationRequest: ({ at }: At) => {
          this.#requests += 1
          const state = `state-${this.#requests}`
          return {
            at,
            authorizationUrl: `https://as.example.com/authorize?state=${state}`,
            state,
            stateHash: `hash-${this.#requests}`,
            verifier: `verifier-${this.#requests}`,
          }
        },
        exchangeCode: ({ at }: At) => tokenResult(at + 100),
        refreshTokens: ({ at }: At) => tokenResult(at + 100),
        requestToken: ({ at }: At) => tokenResult(at + 100, { refreshToken: undefined }),
        revokeTokens: ({ at }: At) => ({ at: at + 100, revoked: 'yes' }),
        retireRegistration: ({ at }: At) => ({ at: at + 100 }),
        ...answers,
      },
    )
  }

  /** Asks for an authorization; with `scope`, for that scope. */
  async authorize(scope = 'read'): Promise<unknown> {
    return (await this.send({ type: 'authorization.requested', request: wishes({ scope }) })).value
  }

  /** The browser comes back with a code. */
  async callback(stateHash: string, options: { stopAtCheckpoint?: boolean } = {}): Promise<unknown> {
    const event = { type: 'callback.received', stateHash, code: 'fake-code', codeTtlMs: CODE_TTL_MS, iss: issuer }
    return (await this.send(event, options)).value
  }

  /** From nothing to tokens. */
  async signIn(): Promise<unknown> {
    await this.authorize()
    return await this.callback(this.context.attempts.at(-1)?.stateHash ?? '')
  }

  /** Somebody saw these tokens and wants newer ones. */
  async refresh(options: { stopAtCheckpoint?: boolean } = {}): Promise<unknown> {
    return (await this.send({ type: 'refresh.requested', generation: this.context.generation }, options)).value
  }

  /** Somebody found the claim past its lease. */
  async abandon(options: { stopAtCheckpoint?: boolean; afterMs?: number } = {}): Promise<unknown> {
    const event = { type: 'claim.expired', orphanId: this.context.claim?.id ?? 'none' }
    return (await this.send(event, { afterMs: 35_000, ...options })).value
  }
}

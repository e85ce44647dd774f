import { expect, onTestFinished } from 'vitest'
import { authorizationErrorOf } from '../../src/adapters/mcp.ts'
import { type AuthorizeResult, type Connection, createAuthOrchestrator } from '../../src/index.ts'
import type { ConnectionIdentity } from '../../src/schemas/credentials.ts'
import { SimulatedClock } from '../../src/testing/index.ts'
import { sdk1, sdk2 } from '../examples/mcp-clients.ts'
import { UserAgent } from '../support/user-agent.ts'
import type { Ledger, Stranger } from './stranger.ts'

export type OrchestratorOptions = Parameters<typeof createAuthOrchestrator>[0]

/** One connection to a server, and what the server has counted since it was opened. */
export class Scene {
  /** Begins with the server's own time, which it puts into answers; a test moves ours alone. */
  readonly clock = new SimulatedClock({ startAt: Date.now() })
  readonly #auth: ReturnType<typeof createAuthOrchestrator>
  readonly #server: Stranger
  readonly #before: Ledger
  readonly of: ConnectionIdentity
  readonly connection: Connection

  private constructor(options: OrchestratorOptions, server: Stranger, before: Ledger) {
    this.#auth = createAuthOrchestrator({ ...options, clock: this.clock })
    this.#server = server
    this.#before = before
    this.of = { tenant: 'acme', user: 'u1', server: server.url }
    this.connection = this.#auth.connection(this.of)
  }

  static async open(options: OrchestratorOptions, server: Stranger): Promise<Scene> {
    const scene = new Scene(options, server, await server.ledger())
    onTestFinished(() => scene.#auth.close())
    return scene
  }

  /** Lets the user sign in at the server's pages and say yes, and answers the callback URL. */
  readonly consent = async (begun: AuthorizeResult): Promise<string> => {
    if (begun.status !== 'redirect') throw new Error(`expected a redirect instead of ${begun.status}`)
    return await new UserAgent().signIn(begun.authorizationUrl, { login: 'alice' })
  }

  readonly signIn = async (challenge?: string): Promise<void> => {
    const callback = await this.consent(await this.connection.authorize({ challenge }))
    expect(await this.#auth.completeCallback(callback)).toMatchObject({ status: 'authorized' })
  }

  /** Calls the tool with the clients of both official SDKs, one after the other. */
  readonly whoami = async (): Promise<string[]> => [await this.#call(sdk1), await this.#call(sdk2)]

  /** The challenge that a call with each client fails with, since only the user can help. */
  readonly challenge = async (): Promise<string | undefined> => {
    const challenges: (string | undefined)[] = []
    for (const connect of [sdk1, sdk2]) {
      const thrown = await this.#call(connect).catch((error: unknown) => error)
      const error = authorizationErrorOf(thrown)
      expect(error ?? thrown).toMatchObject({ code: 'AUTHORIZATION_REQUIRED', nextAction: 'authorize' })
      challenges.push(error?.challenge)
    }
    return challenges[0]
  }

  readonly ledger = async (): Promise<Ledger> => {
    const { requests, grants } = await this.#server.ledger()
    return { requests: requests.slice(this.#before.requests.length), grants: grants - this.#before.grants }
  }

  async #call(connect: typeof sdk1 | typeof sdk2): Promise<string> {
    const client = await connect(this.connection, this.#server.url)
    const { content } = await client.callTool({ name: 'whoami' })
    await client.close()
    return (content as { text: string }[])[0]?.text ?? ''
  }
}

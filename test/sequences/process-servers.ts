import assert from 'node:assert/strict'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { TestMcpServer } from '../../src/testing/index.ts'
import { checkOwnership, SentCredentials } from '../support/fleet/sent-credentials.ts'
import { LATE_MS } from './times.ts'
import { WatchedServer } from './watched-server.ts'

/** Two authorization servers, and an MCP server that names them, on ports of this process. */
export class ProcessServers {
  readonly sent: SentCredentials
  readonly authorization: readonly WatchedServer[]
  readonly mcp: TestMcpServer
  /** How long this process stood still. */
  readonly #delays = monitorEventLoopDelay()
  #checked = 0

  private constructor(sent: SentCredentials, authorization: readonly WatchedServer[], mcp: TestMcpServer) {
    this.sent = sent
    this.authorization = authorization
    this.mcp = mcp
    this.#delays.enable()
  }

  static async start(): Promise<ProcessServers> {
    const sent = new SentCredentials()
    const servers = await Promise.all([new WatchedServer(sent).listen(), new WatchedServer(sent).listen()])
    return new ProcessServers(sent, servers, await new TestMcpServer({ authorizationServers: [...servers] }).listen())
  }

  clearFaults(): void {
    for (const server of [...this.authorization, this.mcp]) server.clearFaults()
  }

  /** Whether this process stood still since the last check, so that whoever waited for it may not wait any more. */
  get stoodStill(): boolean {
    return this.#delays.max > LATE_MS * 1e6
  }

  /** Whether one of them accepts an access token. */
  accepts(accessToken: string): boolean {
    return this.authorization.some((server) => server.introspect(accessToken) !== undefined)
  }

  /** Checks what was sent since the last check. */
  check(): void {
    if (this.stoodStill) this.sent.doubt(this.#checked)
    this.#delays.reset()
    this.#checked = this.sent.count
    this.sent.check()
    checkOwnership(this.authorization)
    const leaks = this.authorization.flatMap((server) => server.leaks)
    assert.deepEqual(leaks, [], 'an access token was sent to an authorization server')
  }

  async close(): Promise<void> {
    this.#delays.disable()
    await Promise.all([...this.authorization, this.mcp].map((server) => server.close()))
  }
}

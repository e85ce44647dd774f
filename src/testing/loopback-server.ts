import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { toNodeHandler } from '../adapters/node.ts'
import { type Clock, systemClock } from '../clock.ts'
import { Faults } from './faults.ts'
import { type LedgerEntry, type TestEndpoint, RequestLog } from './test-ledger.ts'

/** Something that shall go wrong with the next requests of an endpoint. */
export interface TestFault {
  /** Which endpoint it meets. @defaultValue 'token' */
  readonly endpoint?: TestEndpoint | undefined
  /** `before`: nothing is done for the request. `after`: it is done, and only its answer is replaced or lost. */
  readonly when: 'before' | 'after'
  /** A status to answer with; `reset`: the connection breaks; `hold`: no answer until `release()`. */
  readonly answer: number | 'reset' | 'hold'
  /** Sent along with a status, in seconds. */
  readonly retryAfterSeconds?: number | undefined
  /** How many requests it meets. @defaultValue 1 */
  readonly times?: number | undefined
}

/** What every test server takes. */
export interface TestServerOptions {
  /**
   * Where it is, for use without a network through {@link inProcessFetch}. `listen()` replaces it. @defaultValue
   * 'http://127.0.0.1:1'
   */
  readonly origin?: string | undefined
  /** Counts lifetimes. @defaultValue the machine's own */
  readonly clock?: Clock | undefined
}

/** What an endpoint came to: its answer, and what the ledger says of it. */
export interface Answered {
  readonly response: Response
  readonly outcome: string
  readonly grantType?: string | undefined
  readonly presented?: string | undefined
}

/** A server for tests: a Web handler that may listen on a loopback port, with a ledger and faults. */
export abstract class TestServer {
  /** What it was asked. */
  readonly ledger = new RequestLog()
  /** Its clock. */
  readonly clock: Clock
  #origin: string
  #http: Server | undefined
  readonly #faults = new Faults<TestEndpoint, TestFault>()

  constructor({ origin = 'http://127.0.0.1:1', clock = systemClock }: TestServerOptions) {
    this.#origin = origin
    this.clock = clock
  }

  /** Scheme, host and port. */
  get origin(): string {
    return this.#origin
  }

  /** How many requests wait for `release()`. */
  get held(): number {
    return this.#faults.held
  }

  /** Answers a request without a network. Rejects where a connection would break. Bound. */
  readonly handle = async (request: Request): Promise<Response> => {
    const endpoint = this.endpointOf(request.method, new URL(request.url).pathname)
    const before = await this.#meet(endpoint, 'before')
    if (before !== undefined) {
      this.#note({ endpoint, outcome: 'fault', fault: `before ${before.answer}` })
      return failed(before)
    }
    const { response, ...noted } = await this.answer(endpoint, request)
    const after = this.#faults.take(endpoint, 'after')
    this.#note({ endpoint, ...noted, ...(after && { fault: `after ${after.answer}` }) })
    if (after === undefined) return response
    await this.#faults.hold(after)
    return after.answer === 'hold' ? response : failed(after)
  }

  /** Listens on a free port of this machine. */
  async listen(): Promise<this> {
    const http = createServer((incoming, outgoing) => {
      const answer = (request: Request): Promise<Response> =>
        this.handle(request).catch((error: unknown) => {
          incoming.socket.destroy()
          throw error
        })
      toNodeHandler(answer)(incoming, outgoing)
    })
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    this.#http = http
    this.#origin = originOf(http.address())
    return this
  }

  /** Lets something go wrong. */
  fail(fault: TestFault): void {
    this.#faults.add(fault)
  }

  /** Lets nothing go wrong any more, and answers what was held. */
  mend(): void {
    this.#faults.clear()
  }

  /** Answers what was held. */
  release(): void {
    this.#faults.release()
  }

  /** Answers what is held, ends all connections and takes no more. */
  async close(): Promise<void> {
    this.mend()
    const http = this.#http
    if (http === undefined) return
    this.#http = undefined
    http.close()
    http.closeAllConnections()
    await once(http, 'close')
  }

  /** Which endpoint a path is. */
  protected abstract endpointOf(method: string, path: string): TestEndpoint

  /** What this server says, if nothing goes wrong. */
  protected abstract answer(endpoint: TestEndpoint, request: Request): Promise<Answered>

  #note(entry: Omit<LedgerEntry, 'at'>): void {
    this.ledger.note({ at: this.clock.now(), ...entry })
  }

  /** A held request goes on as if nothing had happened, once it is released. */
  async #meet(endpoint: TestEndpoint, when: TestFault['when']): Promise<TestFault | undefined> {
    const fault = this.#faults.take(endpoint, when)
    if (fault === undefined) return undefined
    await this.#faults.hold(fault)
    return fault.answer === 'hold' ? undefined : fault
  }
}

function failed({ answer, retryAfterSeconds }: TestFault): Response {
  if (typeof answer !== 'number') throw new TypeError('the connection broke')
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }
  return Response.json({ error: 'server_error' }, { status: answer, headers })
}

function originOf(address: AddressInfo | string | null): string {
  if (address === null || typeof address === 'string') throw new Error('the server has no port')
  return `http://127.0.0.1:${address.port}`
}

/**
 * A `fetch` that reaches these servers without a network, for `network.fetch` of an orchestrator; list their addresses
 * in `network.allow`. Whoever asks for another origin finds nobody.
 */
export function inProcessFetch(...servers: readonly TestServer[]): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, init)
    const server = servers.find(({ origin }) => origin === new URL(request.url).origin)
    if (server === undefined) throw new TypeError('nobody listens there')
    return await server.handle(request)
  }
}

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as v from 'valibot'
import { toNodeHandler } from '../adapters/node.ts'
import { type Clock, systemClock } from '../clock.ts'
import { codeOf } from '../http/translate-error.ts'
import { maybe } from '../schemas/credentials.ts'
import { Count, has, Origin } from '../schemas/option-values.ts'
import { parseOptions } from '../schemas/parse-options.ts'
import { Faults } from './faults.ts'
import { ENDPOINTS, type RequestLogEntry, type TestEndpoint, RequestLog } from './request-log.ts'

/** A fault to inject into the next requests of an endpoint. */
export interface TestFault {
  /** The endpoint that fails. @defaultValue 'token' */
  readonly endpoint?: TestEndpoint | undefined
  /** `before`: the request is not processed. `after`: it is processed, and only its response is replaced or lost. */
  readonly when: 'before' | 'after'
  /** A status to respond with; `reset`: the connection breaks; `hold`: the response is delayed until `release()`. */
  readonly answer: number | 'reset' | 'hold'
  /** The `Retry-After` header sent with a status, in seconds. */
  readonly retryAfterSeconds?: number | undefined
  /** Number of requests that fail. @defaultValue 1 */
  readonly times?: number | undefined
}

/** Options of every test server. */
export interface TestServerOptions {
  /**
   * The server's origin while it runs in process, through {@link inProcessFetch}. `listen()` replaces it. @defaultValue
   * 'http://127.0.0.1:1'
   */
  readonly origin?: string | undefined
  /** The clock that measures lifetimes. @defaultValue the system clock */
  readonly clock?: Clock | undefined
}

/** The schemas of {@link TestServerOptions}. */
export const SERVER_OPTIONS = {
  origin: maybe(Origin),
  clock: maybe(v.custom<Clock>(has(['now', 'monotonic', 'random']), 'must have now(), monotonic() and random()')),
}

/** A status whose response can have a body. */
const Status = v.pipe(
  v.number(),
  v.check(
    (status) => Number.isInteger(status) && status >= 200 && status <= 599 && ![204, 205, 304].includes(status),
    'must be a status from 200 to 599 other than 204, 205 and 304',
  ),
)

const faultSchema = (endpoints: readonly TestEndpoint[]) =>
  v.strictObject({
    endpoint: v.optional(v.picklist(endpoints), 'token'),
    when: v.picklist(['before', 'after']),
    answer: v.union([Status, v.literal('reset'), v.literal('hold')]),
    retryAfterSeconds: maybe(Count),
    times: maybe(v.pipe(v.number(), v.minValue<number, number, string>(1, 'must be at least 1'))),
  })

/** The response of an endpoint, and what the request log records about it. */
export interface EndpointResponse {
  readonly response: Response
  readonly outcome: string
  readonly grantType?: string | undefined
  readonly presented?: string | undefined
}

/** A server for tests: a Fetch-API handler that can listen on a loopback port, with a request log and faults. */
export abstract class TestServer {
  /** The requests that this server received. */
  readonly requestLog = new RequestLog()
  /** The clock that measures lifetimes. */
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

  /** The number of requests that wait for `release()`. */
  get delayed(): number {
    return this.#faults.delayed
  }

  /** Handles a request in process. Rejects where a connection would break. Bound to the server. */
  readonly handle = async (request: Request): Promise<Response> => {
    const endpoint = this.endpointOf(request.method, new URL(request.url).pathname)
    const before = this.#faults.take(endpoint, 'before')
    if (before !== undefined) await this.#faults.delay(before)
    if (before !== undefined && before.answer !== 'hold') {
      this.#log({ endpoint, outcome: 'fault', fault: `before ${before.answer}` })
      return faultResponse(before)
    }
    const { response, ...entry } = await this.respond(endpoint, request)
    const after = this.#faults.take(endpoint, 'after')
    this.#log({ endpoint, ...entry, ...(after && { fault: `after ${after.answer}` }) })
    if (after === undefined) return response
    await this.#faults.delay(after)
    return after.answer === 'hold' ? response : faultResponse(after)
  }

  /** Listens on a free loopback port. */
  async listen(): Promise<this> {
    const http = createServer((incoming, outgoing) => {
      const handler = (request: Request): Promise<Response> =>
        this.handle(request).catch((error: unknown) => {
          if (codeOf(error) !== RESET) throw error
          incoming.socket.destroy()
          return new Response()
        })
      toNodeHandler(handler)(incoming, outgoing)
    })
    http.listen(0, '127.0.0.1')
    await once(http, 'listening')
    this.#http = http
    this.#origin = originOf(http.address())
    return this
  }

  /**
   * Makes the next requests of an endpoint fail.
   *
   * @throws `TypeError` that names the invalid member, and what is allowed: of `endpoint`, the endpoints of this
   *   server.
   */
  injectFault(fault: TestFault): void {
    this.#faults.add(parseOptions(faultSchema(this.endpoints), fault, 'injectFault()'))
  }

  /** Removes all faults, and sends the delayed responses. */
  clearFaults(): void {
    this.#faults.clear()
  }

  /** Sends the delayed responses. */
  release(): void {
    this.#faults.release()
  }

  /** Sends the delayed responses, closes all connections and stops listening. */
  async close(): Promise<void> {
    this.clearFaults()
    const http = this.#http
    if (http === undefined) return
    this.#http = undefined
    http.close()
    http.closeAllConnections()
    await once(http, 'close')
  }

  /** The endpoints that this server has. */
  protected readonly endpoints: readonly TestEndpoint[] = ENDPOINTS

  /** Maps a method and path to an endpoint. */
  protected abstract endpointOf(method: string, path: string): TestEndpoint

  /** Handles a request without faults. */
  protected abstract respond(endpoint: TestEndpoint, request: Request): Promise<EndpointResponse>

  #log(entry: Omit<RequestLogEntry, 'at'>): void {
    this.requestLog.add({ at: this.clock.now(), ...entry })
  }
}

/** The code of a connection that breaks, as Node's `fetch` has it in the cause of its error. */
const RESET = 'ECONNRESET'

function faultResponse({ answer, retryAfterSeconds }: TestFault): Response {
  if (typeof answer !== 'number') {
    const cause = Object.assign(new Error('the test server reset the connection'), { code: RESET })
    throw new TypeError('fetch failed', { cause })
  }
  const headers = retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }
  return Response.json({ error: 'server_error' }, { status: answer, headers })
}

function originOf(address: AddressInfo | string | null): string {
  if (address === null || typeof address === 'string') throw new Error('the test server is not listening on a port')
  return `http://127.0.0.1:${address.port}`
}

/**
 * A `fetch` that reaches these servers in process, for `network.fetch` of an orchestrator. List their addresses in
 * `network.allow`. Rejects with a `TypeError` for any other origin.
 */
export function inProcessFetch(...servers: readonly TestServer[]): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, init)
    const { origin } = new URL(request.url)
    const server = servers.find((each) => each.origin === origin)
    if (server === undefined) throw new TypeError(`no test server has the origin ${origin}`)
    return await server.handle(request)
  }
}

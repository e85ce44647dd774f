/** One request that is answered as a whole: bounded in time over headers and body, and in bytes after decompression. */
export interface ExchangeRequest {
  readonly url: string
  readonly method: 'GET' | 'POST'
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** A form or JSON text. */
  readonly body?: string | undefined
  /** Byte cap on the decompressed body; never above `network.maxResponseBytes`. */
  readonly maxBytes?: number | undefined
  /**
   * Monotonic instant (of the clock that the transport was given) after which the request must not leave any more: the
   * lease of the claim that covers it would be too short. Checked right before it is sent; rejects with outcome
   * `notSent`, code `HTTP_TIMEOUT`, reason `leaseTooShort`.
   */
  readonly sendBefore?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** The whole answer. Redirects (3xx) are never followed by `exchange`; they reject with `TOO_MANY_REDIRECTS`. */
export interface ExchangeResponse {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/** The only way out of the process. */
export interface Transport {
  /**
   * Sends a request and reads the whole answer, whatever its status.
   *
   * @throws `PortError` with `HTTP_TIMEOUT`, `HTTP_NETWORK`, `ADDRESS_FORBIDDEN`, `INSECURE_ENDPOINT`,
   *   `TOO_MANY_REDIRECTS`, `RESPONSE_TOO_LARGE`, `RESPONSE_NOT_CONFORM`, `ABORTED` or `CLOSED`; `outcome` says whether
   *   the request left. An answer with an error status is not an error here.
   */
  exchange(request: ExchangeRequest): Promise<ExchangeResponse>
  /**
   * Sends a request to the MCP server itself and answers as soon as the headers are there; the body streams, without a
   * byte cap or a deadline. Follows no redirect. The same guard of addresses and schemes.
   */
  fetch(request: Request): Promise<Response>
  close(): Promise<void>
}

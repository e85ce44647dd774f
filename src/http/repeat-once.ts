import ky from 'ky'
import { PortError } from '../errors/port-error.ts'
import { MAX_GET_RETRIES } from './limits.ts'

/** A complete response, its body as bytes after decompression. */
export interface CompleteResponse {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** Some servers and firewalls close the connection on unexpected headers. */
const OPTIONAL_HEADERS = ['mcp-protocol-version', 'user-agent']

const client = ky.create({
  method: 'GET',
  redirect: 'manual',
  throwHttpErrors: false,
  // The caller sets the deadline: ky's time-out does not cover the body.
  timeout: false,
  retry: {
    limit: MAX_GET_RETRIES,
    methods: ['get'],
    delay: () => 0,
    jitter: false,
    // A request for a tunnel has no such headers, and may have taken all the time.
    shouldRetry: ({ error }) =>
      error instanceof PortError &&
      error.failure.code === 'HTTP_NETWORK' &&
      error.failure.details?.reason !== 'proxyUnavailable',
  },
  hooks: {
    beforeRetry: [
      ({ request }) => {
        for (const name of OPTIONAL_HEADERS) request.headers.delete(name)
      },
    ],
  },
})

/**
 * Sends a GET, and after a connection failure repeats it once without the headers that may have caused the failure.
 * Neither an error status nor a time-out nor a forbidden address leads to a retry.
 */
export async function repeatOnce(
  request: { url: URL; headers: Readonly<Record<string, string>> | undefined; signal: AbortSignal },
  send: (headers: Record<string, string>) => Promise<CompleteResponse>,
): Promise<CompleteResponse> {
  const response = await client(request.url, {
    headers: { ...request.headers },
    signal: request.signal,
    fetch: async (input) => {
      const { status, headers, bytes } = await send(Object.fromEntries(new Request(input).headers))
      return new Response(bytes.byteLength === 0 ? null : bytes, { status, headers })
    },
  })
  return { status: response.status, headers: response.headers, bytes: new Uint8Array(await response.arrayBuffer()) }
}

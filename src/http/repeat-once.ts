import ky from 'ky'
import { PortError } from '../errors/port-error.ts'
import { MAX_GET_RETRIES } from './limits.ts'

/** A whole answer, its body as bytes after decompression. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly bytes: Uint8Array<ArrayBuffer>
}

/** Some servers and the firewalls before them hang up on headers that they do not expect. */
const DOUBTFUL_HEADERS = ['mcp-protocol-version', 'user-agent']

const client = ky.create({
  method: 'GET',
  redirect: 'manual',
  throwHttpErrors: false,
  // The deadline is the caller's: ky's own time-outs end before the body.
  timeout: false,
  retry: {
    limit: MAX_GET_RETRIES,
    methods: ['get'],
    delay: () => 0,
    jitter: false,
    shouldRetry: ({ error }) => error instanceof PortError && error.failure.code === 'HTTP_NETWORK',
  },
  hooks: {
    beforeRetry: [
      ({ request }) => {
        for (const name of DOUBTFUL_HEADERS) request.headers.delete(name)
      },
    ],
  },
})

/**
 * Reads with GET, and after a failure of the connection once more without the headers that may have caused it. Nothing
 * else is repeated: no status, no time-out, no refused address.
 */
export async function repeatOnce(
  request: { url: URL; headers: Readonly<Record<string, string>> | undefined; signal: AbortSignal },
  send: (headers: Record<string, string>) => Promise<Answer>,
): Promise<Answer> {
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

import type { GenericSchema, InferOutput } from 'valibot'
import type { FailureCode } from '../../errors/failure.ts'
import { type PortError, portError } from '../../errors/port-error.ts'
import { MAX_METADATA_BYTES } from '../../http/limits.ts'
import type { ExchangeResponse, Transport } from '../../http/transport.ts'
import { check, parseJson } from '../../schemas/wire.ts'
import { redactUrl, retryAfterMs } from '../endpoint-request.ts'
import { MCP_PROTOCOL_VERSION, USER_AGENT } from '../limits.ts'

/** Requests a metadata document. Resolves with any response, whatever its status. */
export function fetchMetadata(transport: Transport, url: string): Promise<ExchangeResponse> {
  const headers = {
    accept: 'application/json',
    'mcp-protocol-version': MCP_PROTOCOL_VERSION,
    'user-agent': USER_AGENT,
  }
  return transport.exchange({ url, method: 'GET', headers, maxBytes: MAX_METADATA_BYTES })
}

/**
 * Parses the document of a 2xx response.
 *
 * @throws `PortError` `RESPONSE_NOT_JSON`, or `RESPONSE_INVALID` with the names of the document and the field.
 */
export function documentIn<Schema extends GenericSchema>(
  schema: Schema,
  response: ExchangeResponse,
  where: { url: string; document: string },
): InferOutput<Schema> {
  const details = { url: redactUrl(where.url), status: response.status, document: where.document }
  const json = parseJson(response.text)
  if (json === undefined) throw portError('RESPONSE_NOT_JSON', 'rejected', details)
  const checked = check(schema, json)
  if ('field' in checked) throw portError('RESPONSE_INVALID', 'rejected', { ...details, field: checked.field })
  return checked.output
}

/** The failure for a metadata URL that responded 429 or 5xx, both of which may be temporary. */
export function unavailable(response: ExchangeResponse, url: string, now: number, code: FailureCode): PortError {
  const { status, headers } = response
  const details = { url: redactUrl(url), status, retryAfterMs: retryAfterMs(headers, now) }
  return portError(status === 429 ? 'RATE_LIMITED' : code, 'rejected', details)
}

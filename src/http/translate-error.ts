import { failure, type FailureDetails } from '../errors/failure.ts'
import { PortError, portError } from '../errors/port-error.ts'
import { redactUrl, truncate } from '../errors/redact.ts'
import type { Deadline } from './deadline.ts'
import { MAX_CAUSE_DEPTH } from './limits.ts'

/** The destination in the details of a failure: without query and credentials, which may be secret. */
export function destinationDetails(url: URL): FailureDetails {
  return { url: redactUrl(url.href), host: truncate(url.host) }
}

/** Methods whose requests have the same effect if they are sent twice (RFC 9110 §9.2.2). */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'])

/** The error of a caller's own request: only the caller knows whether one that may have taken effect can be repeated. */
export function ofCallersRequest(error: PortError, method: string): PortError {
  const { code, details } = error.failure
  // Any other reason says more than that the response is missing.
  const isUnexplained = details?.reason === undefined || details.reason === 'connectionLost'
  if (error.outcome !== 'unknown' || !isUnexplained || (code !== 'HTTP_TIMEOUT' && code !== 'HTTP_NETWORK'))
    return error
  const repeatable = code === 'HTTP_TIMEOUT' ? 'headers' : details?.reason
  return portError(code, 'unknown', { ...details, reason: IDEMPOTENT.has(method) ? repeatable : 'outcomeUnknown' })
}

/** The first `code` in the chain of an error and its causes; empty without one. */
export function codeOf(error: unknown): string {
  let current = error
  for (let depth = 0; depth < MAX_CAUSE_DEPTH && typeof current === 'object' && current !== null; depth += 1) {
    if ('code' in current && typeof current.code === 'string') return current.code
    current = 'cause' in current ? current.cause : undefined
  }
  return ''
}

const NAME_CODE = /^(?:ENOTFOUND|ENODATA|EAI_[A-Z]+)$/
const CERTIFICATE_CODE = /^(?:CERT_|ERR_TLS_CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH)/
/** Of a handshake that fails otherwise: with a server that speaks plain http, for example. */
const TLS_CODE = /^(?:ERR_TLS_|ERR_SSL_|EPROTO)/
const CLOSED_CODE = /^UND_ERR_(?:DESTROYED|CLOSED)$/
const PROXY_ERROR = /^Proxy (?:response \((\d{3})\)|Authentication Required \((407)\))/

/**
 * Converts any error of a request to a `PortError` with its outcome and without secrets: errors of undici and ky may
 * contain the request.
 */
export function translateError(
  error: unknown,
  { url, wasSent, endedBy }: { url: URL; wasSent: boolean; endedBy: Deadline['endedBy'] },
): PortError {
  const where = destinationDetails(url)
  if (error instanceof PortError) {
    return new PortError(failure(error.failure.code, { ...where, ...error.failure.details }), error.outcome)
  }
  const outcome = wasSent ? 'unknown' : 'notSent'
  if (endedBy !== undefined) return portError(endedBy, outcome, where)

  const code = codeOf(error)
  const [, tunnelStatus, forwardStatus] = PROXY_ERROR.exec(error instanceof Error ? error.message : '') ?? []
  const proxyStatus = tunnelStatus ?? forwardStatus
  if (proxyStatus !== undefined) {
    const reason = proxyStatus === '407' ? 'proxyAuthentication' : 'proxyRefused'
    return portError('HTTP_NETWORK', 'notSent', { ...where, status: Number(proxyStatus), reason })
  }
  if (CLOSED_CODE.test(code)) return portError('CLOSED', outcome, where)
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return portError('RESPONSE_TOO_LARGE', outcome, where)
  // These happen only before a request is sent, whatever `wasSent` says (the host's own `fetch` does not report it).
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return portError('HTTP_TIMEOUT', 'notSent', { ...where, reason: 'connect' })
  if (code === 'ECONNREFUSED') return portError('HTTP_NETWORK', 'notSent', { ...where, reason: 'connectionRefused' })
  if (NAME_CODE.test(code)) return portError('HTTP_NETWORK', 'notSent', { ...where, reason: 'nameNotResolved' })
  if (!wasSent && CERTIFICATE_CODE.test(code)) {
    return portError('HTTP_NETWORK', 'notSent', { ...where, reason: 'certificate' })
  }
  if (!wasSent && TLS_CODE.test(code)) return portError('HTTP_NETWORK', 'notSent', { ...where, reason: 'tls' })
  return portError('HTTP_NETWORK', outcome, { ...where, reason: wasSent ? 'connectionLost' : 'connectionFailed' })
}

/** The failure of the way to the proxy: it names the proxy, without its credentials, in place of the server. */
export function proxyError(error: unknown, proxy: string): Error {
  if (error instanceof Error && (error instanceof PortError || CLOSED_CODE.test(codeOf(error)))) return error
  return portError('HTTP_NETWORK', 'notSent', { host: truncate(new URL(proxy).host), reason: 'proxyUnavailable' })
}

import { failure, type FailureDetails, truncate } from '../errors/failure.ts'
import { PortError, portError } from '../errors/port-error.ts'
import type { Deadline } from './deadline.ts'
import { MAX_CAUSE_DEPTH } from './limits.ts'

/** Where a request went, for a failure: never the query, which may hold a secret, nor credentials. */
function whereabouts(url: URL): FailureDetails {
  return { url: truncate(`${url.protocol}//${url.host}${url.pathname}`), host: truncate(url.host) }
}

/** The first `code` of an error or of what caused it. */
function codeOf(error: unknown): string {
  let current = error
  for (let depth = 0; depth < MAX_CAUSE_DEPTH && typeof current === 'object' && current !== null; depth += 1) {
    if ('code' in current && typeof current.code === 'string') return current.code
    current = 'cause' in current ? current.cause : undefined
  }
  return ''
}

const NAME_CODE = /^(?:ENOTFOUND|ENODATA|EAI_[A-Z]+)$/
const CERTIFICATE_CODE =
  /^(?:CERT_|ERR_TLS_|ERR_SSL_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_|HOSTNAME_MISMATCH|EPROTO|UND_ERR_PRX_TLS)/
const PROXY_REFUSAL = /^Proxy (?:response \((\d{3})\)|Authentication Required \((407)\))/

/**
 * Makes of whatever a request has ended with a `PortError` that says what became of it and holds no secret: undici's
 * and ky's own errors may carry the request.
 */
export function translateError(
  error: unknown,
  { url, wasSent, endedBy }: { url: URL; wasSent: boolean; endedBy: Deadline['endedBy'] },
): PortError {
  const where = whereabouts(url)
  if (error instanceof PortError) {
    return new PortError(failure(error.failure.code, { ...where, ...error.failure.details }), error.outcome)
  }
  const outcome = wasSent ? 'unknown' : 'notSent'
  if (endedBy !== undefined) return portError(endedBy, outcome, where)

  const code = codeOf(error)
  const [, tunnelStatus, forwardStatus] = PROXY_REFUSAL.exec(error instanceof Error ? error.message : '') ?? []
  const refusedWith = tunnelStatus ?? forwardStatus
  if (refusedWith !== undefined) {
    return portError('HTTP_NETWORK', 'notSent', { ...where, reason: 'proxyRefused', status: Number(refusedWith) })
  }
  if (code === 'UND_ERR_DESTROYED' || code === 'UND_ERR_CLOSED') return portError('CLOSED', outcome, where)
  if (code === 'UND_ERR_HEADERS_OVERFLOW') return portError('RESPONSE_TOO_LARGE', outcome, where)
  // These can only happen before anything is sent, even where nobody watched (the host's own fetch).
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return portError('HTTP_TIMEOUT', 'notSent', { ...where, reason: 'connect' })
  if (code === 'ECONNREFUSED') return portError('HTTP_NETWORK', 'notSent', { ...where, reason: 'connectionRefused' })
  if (NAME_CODE.test(code)) return portError('HTTP_NETWORK', 'notSent', { ...where, reason: 'nameNotResolved' })
  if (!wasSent && CERTIFICATE_CODE.test(code)) {
    return portError('HTTP_NETWORK', 'notSent', { ...where, reason: 'certificate' })
  }
  return portError('HTTP_NETWORK', outcome, { ...where, reason: wasSent ? 'connectionLost' : 'connectionFailed' })
}

import { portError } from '../../errors/port-error.ts'
import { warnOnFailure } from '../../errors/warn-on-failure.ts'
import { redactNames, redactUrl } from '../../errors/redact.ts'
import { sameIssuer } from '../../protocol/same-issuer.ts'
import type { DiscoveryPolicy } from '../dependencies.ts'

/**
 * Chooses one of the issuers that a resource names: the one that the caller requires, or else by the policy, or else
 * the preferred one if it is among them. Issuers are equal, ignoring one trailing slash; the result has the form that
 * the resource uses.
 *
 * @throws `PortError` `POLICY_REFUSED`.
 */
export async function chooseIssuer(
  issuers: readonly string[],
  requested: string | undefined,
  { allowedIssuers, chooseIssuer: choose }: DiscoveryPolicy,
  preferred?: string,
): Promise<string> {
  const offered = redactNames(issuers)
  const isIn = (list: readonly string[], issuer: string): boolean => list.some((other) => sameIssuer(other, issuer))
  if (requested !== undefined && !isIn(issuers, requested)) {
    throw portError('POLICY_REFUSED', 'notSent', {
      expected: redactUrl(requested),
      offered,
      reason: 'issuerNotOffered',
    })
  }
  const candidates = requested === undefined ? issuers : issuers.filter((issuer) => sameIssuer(issuer, requested))
  const allowed = candidates.filter((issuer) => allowedIssuers === undefined || isIn(allowedIssuers, issuer))
  const first = allowed.find((issuer) => sameIssuer(issuer, preferred ?? issuer)) ?? allowed[0]
  if (first === undefined) {
    const received = redactNames(candidates)
    throw portError('POLICY_REFUSED', 'notSent', { received, reason: 'issuerNotAllowed' })
  }
  let chosen: unknown = first
  const isChosen = await warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'policy.chooseIssuer()', async () => {
    if (choose !== undefined) chosen = await choose(allowed)
  })
  if (!isChosen) throw portError('POLICY_REFUSED', 'notSent', { reason: 'chooseIssuerFailed', offered })
  const match = allowed.find((issuer) => typeof chosen === 'string' && sameIssuer(issuer, chosen))
  if (match !== undefined) return match
  throw portError('POLICY_REFUSED', 'notSent', { reason: 'issuerNotOffered', offered })
}

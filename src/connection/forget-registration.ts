import * as v from 'valibot'
import { IdentitySchema, type ParsedOptions } from '../options/orchestrator-options.ts'
import { canonicalServer } from '../protocol/discovery.ts'
import { redirectUriAt } from '../protocol/redirect-uri.ts'
import { maybe } from '../schemas/credentials.ts'
import { RedirectUri } from '../schemas/option-values.ts'
import { invalidArgument, parseOptions } from '../schemas/parse-options.ts'
import { Issuer } from '../schemas/wire.ts'
import type { Registrations } from './shared-registration.ts'

const OptionsSchema = v.strictObject({
  issuer: v.pipe(
    v.string(),
    v.check(
      (text) => v.is(Issuer, text),
      'must be an absolute http(s) URL without credentials, query or fragment, as the metadata of the server name it',
    ),
  ),
  redirectUri: maybe(RedirectUri),
  connection: maybe(IdentitySchema),
})

/**
 * Removes a dynamic registration, in both forms of its issuer.
 *
 * @throws `TypeError` for invalid options.
 * @internal
 */
export async function forgetRegistration(
  registrations: Registrations,
  { policy, client }: Pick<ParsedOptions, 'policy' | 'client'>,
  options: unknown,
): Promise<void> {
  const name = 'forgetRegistration()'
  const { issuer, redirectUri: named = client.redirectUri, connection } = parseOptions(OptionsSchema, options, name)
  const redirectUri = redirectUriAt(named, issuer)
  const isShared = typeof policy !== 'function' && (policy?.registrationScope ?? 'deployment') === 'deployment'
  if (connection === undefined && !isShared)
    throw invalidArgument(
      `${name}.connection`,
      "is required where policy.registrationScope is 'tenant' or 'connection', and where policy is a function",
    )
  const { server, ...owner } = connection ?? { tenant: '-', server: 'https://-' }
  const identity = { ...owner, server: canonicalServer(server, `${name}.connection.server`) }
  // The record has the form of the issuer's own metadata.
  const bare = issuer.replace(/\/$/, '')
  for (const form of [bare, `${bare}/`]) await registrations.forget({ identity, issuer: form, redirectUri })
}

import * as v from 'valibot'
import { Secret, Text } from './wire.ts'

/** Seconds since the epoch, also as a string. 0 means never. */
const Seconds = v.pipe(
  v.union([v.number(), v.pipe(v.string(), v.regex(/^\d{1,15}$/), v.transform(Number))]),
  v.finite(),
  v.minValue(0),
)

/**
 * What a dynamic registration answers. `client_secret_expires_at` is required by the RFC where there is a secret, but
 * left out by real servers: then it is not known when the secret ends.
 *
 * @see [RFC 7591 §3.2.1](https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1)
 */
export const RegistrationResponseSchema = v.pipe(
  v.object({
    client_id: Text,
    client_secret: v.nullish(Secret),
    client_secret_expires_at: v.nullish(Seconds),
    token_endpoint_auth_method: v.nullish(Text),
    redirect_uris: v.nullish(v.array(Text)),
    grant_types: v.nullish(v.array(Text)),
  }),
  v.transform((answer) => ({
    clientId: answer.client_id,
    clientSecret: answer.client_secret || undefined,
    /** Seconds since the epoch, by the server's clock; absent: never, or unknown. */
    secretExpiresAtSeconds: answer.client_secret_expires_at || undefined,
    /** What the server decided, whatever was asked for. */
    tokenEndpointAuthMethod: answer.token_endpoint_auth_method ?? undefined,
    redirectUris: answer.redirect_uris ?? undefined,
    grantTypes: answer.grant_types ?? undefined,
  })),
)

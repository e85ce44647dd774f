import * as v from 'valibot'
import { RESERVED_PARAMETERS } from '../protocol/authorization-endpoint.ts'
import { RESERVED_TOKEN_PARAMETERS } from '../protocol/token-endpoint.ts'

/** Upper bound for parameters as JSON, in bytes: they are sent in a URL, and stored with tokens. */
const MAX_PARAMETERS_BYTES = 4_096

/** A host's further parameters of authorization requests, and of token requests of non-interactive grants. */
export const Parameters = v.pipe(
  v.record(
    v.string(),
    v.pipe(
      v.string(),
      v.check((text) => text.isWellFormed(), 'must be well-formed Unicode'),
    ),
  ),
  v.check(
    (parameters) =>
      !Object.keys(parameters).some((name) => RESERVED_PARAMETERS.has(name) || RESERVED_TOKEN_PARAMETERS.has(name)),
    'must not contain a parameter that authchart sets',
  ),
  v.check(
    (parameters) => Buffer.byteLength(JSON.stringify(parameters)) <= MAX_PARAMETERS_BYTES,
    `must not exceed ${MAX_PARAMETERS_BYTES} bytes`,
  ),
)

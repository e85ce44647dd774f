const WIRE_ERROR = /^[a-z_]{1,64}$/

/** What a server's answer says about an error, beside its status. */
export interface WireError {
  /** The error code; absent if it does not look like one: free text may echo a secret. */
  error: string | undefined
}

/**
 * The error in an answer, whatever its status.
 *
 * @returns `undefined` if it has none.
 * @see [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.2)
 */
export function wireErrorOf(fields: Readonly<Record<string, unknown>>): WireError | undefined {
  const { error } = fields
  if (error === undefined || error === null) return undefined
  return { error: typeof error === 'string' && WIRE_ERROR.test(error) ? error : undefined }
}

/** Tokens and the client that they belong to, as a host gets them to keep. */
export interface Credentials {
  clientId: string
  clientSecret: string
  accessToken: string
  refreshToken: string
}

/** An authorization server that was not written for this project. */
export interface RealServer {
  readonly issuer: string
  /** A user's browser: from the authorization URL to the callback URL, having said yes. */
  signIn(authorizationUrl: string): Promise<string>
  /** Whether the server would still take the refresh token. */
  isLive(credentials: Credentials): Promise<boolean>
  /** Takes the refresh token back, as a user does who looks after what they have allowed. */
  revoke(credentials: Credentials): Promise<void>
  close(): Promise<void>
}

/** RFC 7009, with the client's own credentials. */
export async function revokeAt(endpoint: string, { clientId, clientSecret, refreshToken }: Credentials): Promise<void> {
  const { status } = await fetch(endpoint, {
    method: 'POST',
    headers: { authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}` },
    body: new URLSearchParams({ token: refreshToken, token_type_hint: 'refresh_token' }),
  })
  if (status !== 200) throw new Error(`the revocation endpoint answered ${status}`)
}

import { jwtVerify, SignJWT } from 'jose'
import { sessionSecret } from '../auth.ts'

const secret = new TextEncoder().encode(sessionSecret)
const COOKIE = /(?:^|; )session=([^;]*)/

/** A session in a signed cookie. In Next.js, `cookies()` reads and writes it. */
export async function sessionCookie(user: string): Promise<string> {
  const token = await new SignJWT().setProtectedHeader({ alg: 'HS256' }).setSubject(user).sign(secret)
  return `session=${token}; Path=/; HttpOnly; SameSite=Lax`
}

/** The user of the session, if its signature is valid. */
export async function userOf(request: Request): Promise<string | undefined> {
  const [, token = ''] = COOKIE.exec(request.headers.get('cookie') ?? '') ?? []
  const verified = await jwtVerify(token, secret, { algorithms: ['HS256'] }).catch(() => undefined)
  return verified?.payload.sub
}

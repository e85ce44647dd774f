import { promisify } from 'node:util'
import { serve } from '@hono/node-server'
import { type Context, Hono } from 'hono'
import { getSignedCookie, setSignedCookie } from 'hono/cookie'
import { auth, closeOnSigterm, port, sessionSecret, whoami } from './auth.ts'

const app = new Hono()

/** The user of the session, if its signature is valid. */
const userOf = async (context: Context): Promise<string | undefined> =>
  (await getSignedCookie(context, sessionSecret, 'session')) || undefined

// Replace this with your own login.
app.post('/login', async (context) => {
  const user = context.req.query('user') ?? ''
  await setSignedCookie(context, 'session', user, sessionSecret, { httpOnly: true, sameSite: 'Lax', path: '/' })
  return context.body(null, 204)
})
app.get('/whoami', async (context) => whoami(await userOf(context)))
app.all('/callback', (context) => auth.handleCallback(context.req.raw))

const server = serve({ fetch: app.fetch, port, hostname: '127.0.0.1' }, () => console.log('ready'))
closeOnSigterm(promisify(server.close.bind(server)))

import { promisify } from 'node:util'
import cookieSession from 'cookie-session'
import express, { type Request as ExpressRequest } from 'express'
import { toNodeHandler } from '../../../src/adapters/node.ts'
import { auth, closeOnSigterm, port, sessionSecret, whoami } from './auth.ts'

const app = express()
app.use(cookieSession({ name: 'session', keys: [sessionSecret], sameSite: 'lax' }))

/** The user of the session, whose signature the framework has verified. */
const userOf = ({ session }: ExpressRequest): string | undefined => {
  const user: unknown = session?.['user']
  return typeof user === 'string' ? user : undefined
}

// Replace this with your own login.
app.post('/login', (request, response) => {
  request.session = { user: request.query['user'] }
  response.sendStatus(204)
})
app.get(
  '/whoami',
  toNodeHandler((_, request: ExpressRequest) => whoami(userOf(request))),
)
app.all('/callback', toNodeHandler(auth.handleCallback))

const server = app.listen(port, '127.0.0.1', () => console.log('ready'))
closeOnSigterm(promisify(server.close.bind(server)))

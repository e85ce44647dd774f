import cookie from '@fastify/cookie'
import fastify, { type FastifyRequest } from 'fastify'
import { toNodeHandler } from '../../../src/adapters/node.ts'
import { auth, closeOnSigterm, port, sessionSecret, whoami } from './auth.ts'

const app = fastify()
await app.register(cookie, { secret: sessionSecret })

/** The user of the session, if its signature is valid. */
const userOf = (request: FastifyRequest): string | undefined => {
  const { valid, value } = request.unsignCookie(request.cookies['session'] ?? '')
  return valid ? value : undefined
}

// Replace this with your own login.
app.post<{ Querystring: { user: string } }>('/login', async ({ query }, reply) => {
  reply.setCookie('session', query.user, { signed: true, httpOnly: true, sameSite: 'lax', path: '/' })
  return await reply.code(204).send()
})
app.get('/whoami', async (request, reply) => await reply.send(await whoami(userOf(request))))

const handleCallback = toNodeHandler(auth.handleCallback)
app.all('/callback', (request, reply) => {
  reply.hijack()
  handleCallback(request.raw, reply.raw)
})

await app.listen({ port, host: '127.0.0.1' })
console.log('ready')
closeOnSigterm(() => app.close())

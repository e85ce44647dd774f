import { createServer } from 'node:http'
import { promisify } from 'node:util'
import { toNodeHandler } from '../../../src/adapters/node.ts'

/** Serves the route handlers of `test/examples/hosts/next` as Next.js would: a module a path, a function a method. */

type RouteModule = Partial<Record<string, (request: Request) => Promise<Response>>>

const ROUTES = new Map<string, RouteModule>([
  ['/callback', await import('../../examples/hosts/next/callback/route.ts')],
  ['/login', await import('../../examples/hosts/next/login/route.ts')],
  ['/whoami', await import('../../examples/hosts/next/whoami/route.ts')],
])
const { register } = await import('../../examples/hosts/next/instrumentation.ts')

const server = createServer(
  toNodeHandler(async (request) => {
    const handle = ROUTES.get(new URL(request.url).pathname)?.[request.method]
    return handle === undefined ? new Response('not found', { status: 404 }) : await handle(request)
  }),
)
server.listen(Number(process.env['PORT']), '127.0.0.1', () => console.log('ready'))
register(promisify(server.close.bind(server)))

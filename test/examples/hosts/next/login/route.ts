import { sessionCookie } from '../session.ts'

// Replace this with your own login.
export async function POST(request: Request): Promise<Response> {
  const user = new URL(request.url).searchParams.get('user') ?? ''
  return new Response(null, { status: 204, headers: { 'set-cookie': await sessionCookie(user) } })
}

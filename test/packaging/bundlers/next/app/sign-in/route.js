import { signIn } from '../../sign-in.mjs'

export async function GET(request) {
  return Response.json(await signIn(new URL(request.url).searchParams.get('server')))
}

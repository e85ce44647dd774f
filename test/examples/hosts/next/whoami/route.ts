import { whoami } from '../../auth.ts'
import { userOf } from '../session.ts'

export async function GET(request: Request): Promise<Response> {
  return await whoami(await userOf(request))
}

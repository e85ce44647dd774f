import { auth } from '../../auth.ts'

export const GET = auth.handleCallback
// A response by `form_post` is not supported: the page says so.
export const POST = auth.handleCallback

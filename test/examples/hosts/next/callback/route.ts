import { auth } from '../../auth.ts'

export const GET = auth.handleCallback
// A server that sends a form instead of a link gets a page that says so.
export const POST = auth.handleCallback

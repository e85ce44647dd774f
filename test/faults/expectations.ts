import type { Cell } from './cell.ts'
import type { CallError } from './fault-process.ts'
import { leasesOf } from './points.ts'

/** What a host does about these: it calls again. */
const PASSING = new Set([
  'HTTP_NETWORK retry',
  'HTTP_TIMEOUT retry',
  'RESOURCE_METADATA_UNAVAILABLE retry',
  'SERVER_METADATA_UNAVAILABLE retry',
  'STORE_UNAVAILABLE retry',
  'TOKEN_OUTCOME_UNKNOWN retry',
])

const WHILE_SERVERS_FAIL = new Set([
  'AUTHORIZATION_REQUIRED authorize',
  'RATE_LIMITED retry',
  'SERVER_UNAVAILABLE retry',
])

/** `STORE_UNAVAILABLE retry` */
export const saidBy = ({ code, nextAction, message }: CallError): string =>
  code === undefined ? message : `${code} ${nextAction}`

/** What a call may be rejected with before it came to its fault: a busy machine does not respond in time. */
export const mayFailBefore = (error: CallError): boolean => PASSING.has(saidBy(error))

/** What a call may be rejected with while store and servers fail. */
export const mayFail = (error: CallError): boolean =>
  PASSING.has(saidBy(error)) || WHILE_SERVERS_FAIL.has(saidBy(error))

/**
 * What a call is rejected with whose operation of this name lost its answer; the first that matches. Everything else is
 * done again.
 */
const AFTER_LOST_ANSWER: readonly { readonly flow?: string; readonly point: RegExp; readonly rejection?: string }[] = [
  { point: /^load /, rejection: 'STORE_UNAVAILABLE retry' },
  { point: /^(?:mcp|register)$/, rejection: 'HTTP_NETWORK retry' },
  { flow: 'client credentials', point: /^token /, rejection: 'HTTP_NETWORK retry' },
  // The token of before is still good.
  { flow: 'early refresh', point: /^token / },
  { point: /^token /, rejection: 'TOKEN_OUTCOME_UNKNOWN retry' },
]

/** The requests that are sent under a lease. */
const CLAIMED = /^(?:token |register$|registration check$)/
const NOT_SENT = 'HTTP_TIMEOUT retry'

/** What a call may be rejected with whose fault happened; empty: it must resolve. */
export function rejectionsAfter({ flow, point, action }: Cell): readonly string[] {
  // Another process has sent its code once more, and the server has rejected it.
  if (action === 'stop 3×' && point.onlyCopy.after) return ['EXCHANGE_REJECTED authorize']
  // Too little of its lease is left: it does not send the request.
  if (leasesOf(action) > 0) return point.name.startsWith('save ') && CLAIMED.test(point.next ?? '') ? [NOT_SENT] : []
  if (action !== 'answer lost') return []
  const { rejection } =
    AFTER_LOST_ANSWER.find((each) => (each.flow ?? flow.name) === flow.name && each.point.test(point.name)) ?? {}
  return rejection === undefined ? [] : [rejection]
}

/**
 * Whether a person may be sent to the server with a client that it has lost: it was asked whether it still has it, and
 * its response was lost. It is not asked again within an hour.
 */
export const mayMeetErrorPage = ({ point, action }: Cell): boolean =>
  action === 'answer lost' && point.name === 'registration check'

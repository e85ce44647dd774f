import { assign, emit, setup } from 'xstate'
import type { ConnectionContext, RestingState } from '../src/schemas/connection-context.ts'
import type { ConnectionIdentity } from '../src/schemas/credentials.ts'
import { eventAs } from './assert.ts'
import { addAttempt, authorizationRequestBuilt, endDenied, endFailed } from './connection/attempts.ts'
import {
  claimExchange,
  claimRefresh,
  claimRenewal,
  claimTokenRequest,
  expireClaim,
  markOutcomeUnknown,
  retainRetries,
  withConsumptionDoubt,
} from './connection/claims.ts'
import type { AuthorizationRequestBuilt, ConnectionEvent } from './connection/events.ts'
import * as guards from './connection/guards.ts'
import * as inputs from './connection/port-inputs.ts'
import {
  adoptServer,
  beginRenewal,
  beginRequest,
  recordChallenge,
  recordDiscovery,
  recordNotRequired,
  refuseIssuerChange,
  rejectGrant,
  replaceClient,
} from './connection/request.ts'
import { withinRecord } from './connection/record-size.ts'
import * as revocations from './connection/revocations.ts'
import { isRenewing, isReRequestable, restingState } from './connection/selectors.ts'
import { asksForNothingNew, countStepUp, endStepUps, isStepUpExhausted, rejectScope } from './connection/step-up.ts'
import * as actions from './connection/tokens.ts'
import { connectionPorts } from './ports.ts'
import { appendToJournal, isCurrentClaim } from './record-rules.ts'
import {
  isClientRejected,
  isGrantRejected,
  isRenewalRejected,
  isRetryLater,
  isTokenResponseInvalid,
  portFailureOf,
} from './rejection.ts'

/** The responses with tokens. */
const TOKENS_RECEIVED = [
  'xstate.done.actor.exchangeCode',
  'xstate.done.actor.refreshTokens',
  'xstate.done.actor.requestToken',
] as const

/** The input of a new connection. */
export interface ConnectionInput {
  identity: ConnectionIdentity
  /** Record time of the first event. */
  at: number
}

/**
 * One connection for its whole life: a tenant, an optional user, and an MCP server. The states in `resting` and the
 * claims are persistable, all others are working states; `settling` decides the resting state.
 *
 * @see [MCP authorization](https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization)
 */
export const connectionMachine = setup({
  types: {
    context: {} as ConnectionContext,
    events: {} as ConnectionEvent,
    emitted: {} as AuthorizationRequestBuilt,
    input: {} as ConnectionInput,
    tags: {} as 'storable' | 'checkpoint' | 'claim',
    meta: {} as { rfc: string },
  },
  actors: connectionPorts,
  guards: {
    isAcceptableCallback: ({ context, event }) => guards.isAcceptableCallback(context, event),
    hasPendingCode: ({ context, event }) => guards.hasPendingCode(context, event),
    isCurrentGeneration: ({ context, event }) => guards.isCurrentGeneration(context, event),
    needsDiscovery: ({ context, event }) =>
      guards.isCurrentGeneration(context, event) && guards.needsDiscovery(context),
    renewsWithoutRefreshToken: ({ context, event }) =>
      guards.isCurrentGeneration(context, event) && context.tokens !== undefined && isReRequestable(context.tokens),
    isAcceptableLateResult: ({ context, event }) => guards.isAcceptableLateResult(context, event),
    isOrphanedResult: ({ context, event }) => guards.isOrphanedResult(context, event),
    hasTokensToRevoke: ({ context }) => context.tokens !== undefined && !guards.needsDiscovery(context),
    isPendingRevocation: ({ context, event }) => revocations.isPendingRevocation(context, event),
    isNewlyDiscarded: ({ context, event }) => revocations.isNewlyDiscarded(context, event),
    isDiscarded: ({ context, event }) => revocations.isDiscarded(context, eventAs(event, ...TOKENS_RECEIVED)),
    canRetryRevocation: ({ context, event }) => revocations.canRetryRevocation(context, event),
    isRenewal: ({ context }) => guards.isRenewal(context),
    mayRegisterAgain: ({ context, event }) =>
      isClientRejected(portFailureOf(event)) && guards.mayRegisterAgain(context),
    isCurrentChallenge: ({ context, event }) =>
      event.type === 'challenge.received' && event.generation === context.generation,
    isCurrentImport: ({ context, event }) =>
      event.type === 'credentials.imported' && event.generation === context.generation,
    isNotRequired: ({ event }) => guards.isNotRequired(event),
    isIssuerChangeDisallowed: ({ context, event }) =>
      guards.isIssuerChangeDisallowed(context, eventAs(event, 'xstate.done.actor.discoverServer')),
    isNewRejection: ({ context, event }) => guards.isNewRejection(context, event),
    clearsRejection: ({ context, event }) => guards.clearsRejection(context, event),
    isFirstService: ({ context }) => context.servesWithoutToken === undefined,
    asksForNothingNew: ({ context, event }) => asksForNothingNew(context, event),
    isStepUpExhausted: ({ context, event }) => isStepUpExhausted(context, event),
    usesAuthorizationCode: ({ context }) => guards.canUseGrant(context, 'authorization_code'),
    usesNonInteractiveGrant: ({ context }) => guards.canUseNonInteractiveGrant(context),
    canProceed: ({ context }) => !context.claim?.outcomeUnknown,
    isCurrentClaim: ({ context, event }) => isCurrentClaim(context, event),
    canRetry: ({ context, event }) =>
      isCurrentClaim(context, event) && guards.canRetry(context, actions.readClock(context, event)),
    canRetryLater: ({ context, event }) =>
      isCurrentClaim(context, event) && guards.canRetryLater(context, actions.readClock(context, event)),
    canRetryUnknownOutcome: ({ context, event }) =>
      portFailureOf(event).outcome === 'unknown' && guards.canRetry(context, actions.readClock(context, event)),
    isClientRejected: ({ context, event }) => isClientRejected(portFailureOf(event)) && guards.isClientDynamic(context),
    isRetryLater: ({ context, event }) =>
      isRetryLater(portFailureOf(event)) || (isClientRejected(portFailureOf(event)) && guards.hasClientKey(context)),
    isTokenResponseInvalid: ({ event }) => isTokenResponseInvalid(portFailureOf(event)),
    isRefreshTokenRejected: ({ event }) => isGrantRejected(portFailureOf(event)),
    isRenewalRejected: ({ context, event }) => isRenewing(context) && isRenewalRejected(portFailureOf(event)),
    restsIn: ({ context }, params: { state: RestingState }) => restingState(context) === params.state,
  },
  actions: {
    updateClock: assign({ at: ({ context, event }) => actions.readClock(context, event) }),
    beginRequest: assign(({ context, event }) =>
      beginRequest(
        context,
        eventAs(
          event,
          'authorization.requested',
          'challenge.insufficientScope',
          'challenge.insufficientAuthentication',
        ),
      ),
    ),
    countStepUp: assign(({ context, event }) => countStepUp(context, eventAs(event, 'challenge.insufficientScope'))),
    replaceClient: assign(({ context, event }) => replaceClient(context, event)),
    rejectScope: assign(({ context, event }) => rejectScope(context, eventAs(event, 'challenge.insufficientScope'))),
    endStepUps: assign(({ context, event }) => endStepUps(context, eventAs(event, 'challenge.insufficientScope'))),
    recordChallenge: assign(({ event }) => recordChallenge(eventAs(event, 'challenge.received'))),
    recordRejection: assign(({ context, event }) => actions.recordRejection(context, eventAs(event, 'token.rejected'))),
    clearRejection: assign(({ context, event }) => actions.clearRejection(context, eventAs(event, 'token.accepted'))),
    recordService: assign({ servesWithoutToken: true }),
    recordNotRequired: assign(({ context, event }) =>
      recordNotRequired(context, eventAs(event, 'xstate.done.actor.discoverServer')),
    ),
    beginRenewal: assign(({ context, event }) => beginRenewal(context, eventAs(event, 'refresh.requested'))),
    recordDiscovery: assign(({ context, event }) =>
      recordDiscovery(
        context,
        eventAs(
          event,
          'xstate.done.actor.discoverResource',
          'xstate.done.actor.discoverServer',
          'xstate.done.actor.ensureRegistration',
        ),
      ),
    ),
    refuseIssuerChange: assign(({ context, event }) =>
      refuseIssuerChange(context, eventAs(event, 'xstate.done.actor.discoverServer')),
    ),
    adoptServer: assign(({ context }) => adoptServer(context)),
    rejectGrant: assign(({ context }) => rejectGrant(context)),
    addAttempt: assign(({ context, event }) =>
      addAttempt(context, eventAs(event, 'xstate.done.actor.buildAuthorizationRequest').output),
    ),
    emitAuthorizationRequest: emit(({ context, event }) =>
      authorizationRequestBuilt(context, eventAs(event, 'xstate.done.actor.buildAuthorizationRequest').output),
    ),
    claimExchange: assign(({ context, event }) =>
      claimExchange(context, eventAs(event, 'callback.received', 'exchange.resumed')),
    ),
    retainRetries: assign(({ context }) => retainRetries(context)),
    claimRefresh: assign(({ context, event }) => claimRefresh(context, eventAs(event, 'refresh.requested'))),
    claimTokenRequest: assign(({ context }) => claimTokenRequest(context)),
    claimRenewal: assign(({ context, event }) => claimRenewal(context, eventAs(event, 'refresh.requested'))),
    withdrawTokens: assign(({ context, event }) =>
      revocations.withdrawTokens(context, eventAs(event, 'disconnect.requested')),
    ),
    withdrawLateTokens: assign(({ context, event }) =>
      revocations.withdrawLateTokens(context, eventAs(event, 'result.late')),
    ),
    withdrawReplacedTokens: assign(({ context, event }) => revocations.withdrawReplacedTokens(context, event)),
    discardTokens: assign(({ context, event }) =>
      revocations.discardTokens(context, eventAs(event, ...TOKENS_RECEIVED)),
    ),
    discardLateTokens: assign(({ context, event }) =>
      revocations.discardLateTokens(context, eventAs(event, 'tokens.discarded')),
    ),
    claimRevocation: assign(({ event }) =>
      revocations.claimRevocation(eventAs(event, 'disconnect.requested', 'revocation.resumed', 'result.late')),
    ),
    endRevocation: assign(({ context, event }) =>
      revocations.endRevocation(context, eventAs(event, 'xstate.done.actor.revokeTokens')),
    ),
    endLateRevocation: assign(({ context, event }) =>
      revocations.endLateRevocation(context, eventAs(event, 'revocation.late')),
    ),
    postponeRevocation: assign(({ context, event }) => revocations.postponeRevocation(context, event)),
    failRevocation: assign(({ context, event }) => revocations.failRevocation(context, event)),
    expireRevocation: assign(({ context, event }) =>
      revocations.expireRevocation(context, eventAs(event, 'claim.expired')),
    ),
    markOutcomeUnknown: assign(({ context, event }) => markOutcomeUnknown(context, event)),
    expireClaim: assign(({ context, event }) => expireClaim(context, eventAs(event, 'claim.expired'))),
    storeTokens: assign(({ context, event }) =>
      actions.storeTokens(context, eventAs(event, ...TOKENS_RECEIVED).output),
    ),
    acceptLateResult: assign(({ context, event }) => actions.acceptLateResult(context, eventAs(event, 'result.late'))),
    importCredentials: assign(({ context, event }) =>
      actions.importCredentials(context, eventAs(event, 'credentials.imported')),
    ),
    endDenied: assign(({ context, event }) => endDenied(context, eventAs(event, 'callback.denied'))),
    endFailed: assign(({ context, event }) => endFailed(context, event)),
    recordFailure: assign(({ context, event }) => actions.recordFailure(context, event)),
    markRefreshTokenMaybeConsumed: assign(({ context }) => withConsumptionDoubt(context)),
    endRenewal: assign(({ context }) => actions.endRenewal(context)),
    markRenewalRejected: assign(({ context }) => actions.markRenewalRejected(context)),
    dropRefreshToken: assign(({ context }) => actions.dropRefreshToken(context)),
    endRefreshes: assign(({ context }) => actions.endRefreshes(context)),
    forgetClient: assign(({ context }) => actions.forgetClient(context)),
    clearRejectedClient: assign({ rejectedClient: undefined }),
    releaseClaim: assign({ claim: undefined }),
    reset: assign(({ context }) => actions.reset(context)),
    pruneExpired: assign(({ context }) => actions.pruneExpired(context)),
    journal: assign(({ context, event }, params: { to: string }) => {
      const journal = appendToJournal(context, event, params.to, 'disconnected')
      return withinRecord({ ...context, journal, notes: undefined })
    }),
  },
}).createMachine({
  id: 'connection',
  options: { maxIterations: 100 },
  description:
    'The whole life of one connection. Events of resting states are handled once, on `resting`; the next resting state is decided once, in `settling`.',
  context: ({ input: { identity, at } }) => ({
    identity,
    at,
    generation: 0,
    servers: [],
    attempts: [],
    endedAttempts: [],
    orphanedClaims: [],
    journal: [],
  }),
  initial: 'resting',
  states: {
    resting: {
      description: 'Nothing runs. Attempts are data, so that an authorized connection may have a pending one as well.',
      initial: 'disconnected',
      states: {
        disconnected: {
          tags: ['storable'],
          description: 'No tokens, and no authorization in progress.',
        },
        awaitingCallback: {
          tags: ['storable'],
          description:
            'At least one attempt waits for its callback (RFC 6749 §4.1.2), or has a code that will be redeemed once the server can be reached again.',
        },
        authorized: {
          tags: ['storable'],
          description:
            'An access token can be obtained without the user: it is stored, or it can be refreshed (RFC 6749 §6).',
        },
        reauthorizationRequired: {
          tags: ['storable'],
          description:
            'The connection was authorized before; now it has to be authorized again, by its user if the grant needs one.',
        },
        failed: {
          tags: ['storable'],
          description:
            'The connection was never authorized, and the last attempt failed; `failure` contains the reason.',
        },
      },
      on: {
        'authorization.requested': {
          description: 'The host needs a token that cannot be obtained without a new authorization.',
          target: 'discovering',
          actions: ['beginRequest'],
        },
        'challenge.insufficientScope': [
          {
            description:
              'The server requires scope that was granted already (RFC 6750 §3.1): another authorization cannot help.',
            guard: 'asksForNothingNew',
            target: 'settling',
            actions: ['rejectScope'],
          },
          {
            description: 'The same scope was requested as often as the policy allows.',
            guard: 'isStepUpExhausted',
            target: 'settling',
            actions: ['endStepUps'],
          },
          {
            description: 'The server requires more scope (RFC 6750 §3.1). The current tokens stay usable meanwhile.',
            target: 'discovering',
            actions: ['countStepUp', 'beginRequest'],
          },
        ],
        'challenge.insufficientAuthentication': {
          description: 'The server requires the user to sign in again, or with stronger authentication (RFC 9470 §3).',
          target: 'discovering',
          actions: ['beginRequest'],
        },
        'challenge.received': {
          description:
            'The server requires authorization (RFC 6750 §3): its challenge is stored for the next `authorize()`, in any process.',
          guard: 'isCurrentChallenge',
          target: 'settling',
          actions: ['recordChallenge'],
        },
        'token.rejected': {
          description:
            'The server rejected the access token (RFC 6750 §3.1, `invalid_token`), and no renewal helped, or none is possible.',
          guard: 'isNewRejection',
          target: 'settling',
          actions: ['recordRejection'],
        },
        'token.accepted': {
          description: 'The server accepts the rejected access token again.',
          guard: 'clearsRejection',
          target: 'settling',
          actions: ['clearRejection'],
        },
        'request.servedWithoutToken': {
          description:
            'The server answered a request without a token with success: from now on, a success says nothing about a token.',
          guard: 'isFirstService',
          target: 'settling',
          actions: ['updateClock', 'recordService'],
        },
        'callback.received': {
          description:
            'The browser returned with a code (RFC 6749 §4.1.2), from the issuer of the attempt (RFC 9207 §2.4).',
          guard: 'isAcceptableCallback',
          target: 'exchanging',
          actions: ['claimExchange'],
        },
        'exchange.resumed': {
          description: 'A code is stored that was not redeemed yet and has not expired.',
          guard: 'hasPendingCode',
          target: 'exchanging',
          actions: ['claimExchange'],
        },
        'callback.denied': {
          description: 'The browser returned with an error (RFC 6749 §4.1.2.1).',
          guard: 'isAcceptableCallback',
          target: 'settling',
          actions: ['endDenied'],
        },
        'attempt.expired': {
          description: 'Attempts that were not finished in time are ended.',
          target: 'settling',
          actions: ['updateClock'],
        },
        'refresh.requested': [
          {
            description: 'Imported tokens: their authorization server has to be discovered first.',
            guard: 'needsDiscovery',
            target: 'discovering',
            actions: ['beginRenewal'],
          },
          {
            description: 'A non-interactive grant needs no refresh token; it requests a new access token.',
            guard: 'renewsWithoutRefreshToken',
            target: 'requestingToken',
            actions: ['claimRenewal'],
          },
          {
            description: 'The tokens are still those that the requester saw.',
            guard: 'isCurrentGeneration',
            target: 'refreshing',
            actions: ['claimRefresh'],
          },
        ],
        'disconnect.requested': [
          {
            description: 'There are tokens to revoke. From here on they serve nothing else.',
            guard: 'hasTokensToRevoke',
            target: 'disconnecting',
            actions: ['withdrawTokens', 'reset', 'claimRevocation'],
          },
          { description: 'There is nothing to revoke.', target: 'settling', actions: ['withdrawTokens', 'reset'] },
        ],
        'revocation.resumed': {
          description: 'A revocation is attempted again (RFC 7009 §2.2.1).',
          guard: 'isPendingRevocation',
          target: 'disconnecting',
          actions: ['claimRevocation'],
        },
        'revocation.late': {
          description: 'The holder of an expired claim submits the decision of its revocation.',
          guard: 'isPendingRevocation',
          target: 'settling',
          actions: ['endLateRevocation'],
        },
        'tokens.discarded': {
          description: 'The holder of an expired claim submits tokens that must not be stored: they are revoked.',
          guard: 'isNewlyDiscarded',
          target: 'settling',
          actions: ['discardLateTokens'],
        },
        'credentials.imported': {
          description: 'Credentials that the host already has, if no other tokens were stored in the meantime.',
          guard: 'isCurrentImport',
          target: 'settling',
          actions: ['importCredentials'],
        },
        'result.late': [
          {
            description: 'The holder of an orphaned claim submits its result.',
            guard: 'isAcceptableLateResult',
            target: 'settling',
            actions: ['withdrawReplacedTokens', 'acceptLateResult'],
          },
          {
            description:
              'The holder of an orphaned claim submits its result after the connection was disconnected: it is revoked.',
            guard: 'isOrphanedResult',
            target: 'disconnecting',
            actions: ['withdrawLateTokens', 'claimRevocation'],
          },
        ],
      },
    },
    discovering: {
      description: 'Discovers where to sign in (MCP authorization, Authorization Server Discovery).',
      initial: 'protectedResource',
      states: {
        protectedResource: {
          description: 'Reads which resource this is, and which authorization servers protect it.',
          meta: { rfc: 'RFC 9728 §3' },
          invoke: {
            id: 'discoverResource',
            src: 'discoverResource',
            input: ({ context }) => inputs.discoverResourceInput(context),
            onDone: { target: 'authorizationServer', actions: ['recordDiscovery'] },
            onError: { target: '#connection.settling', actions: ['recordFailure'] },
          },
        },
        authorizationServer: {
          description: 'Reads what the authorization server supports, and confirms its issuer.',
          meta: { rfc: 'RFC 8414 §3' },
          invoke: {
            id: 'discoverServer',
            src: 'discoverServer',
            input: ({ context }) => inputs.discoverServerInput(context),
            onDone: [
              { guard: 'isNotRequired', target: '#connection.settling', actions: ['recordNotRequired'] },
              {
                description: 'The authorization server is another one than before, and the policy refuses that.',
                guard: 'isIssuerChangeDisallowed',
                target: '#connection.settling',
                actions: ['refuseIssuerChange'],
              },
              { target: '#connection.registering', actions: ['recordDiscovery'] },
            ],
            onError: { target: '#connection.settling', actions: ['recordFailure'] },
          },
        },
      },
    },
    registering: {
      description:
        'Selects the client for this authorization server: one that the host provided, a client ID metadata document, or the registration that a whole deployment shares.',
      meta: { rfc: 'RFC 7591 §3' },
      invoke: {
        id: 'ensureRegistration',
        src: 'ensureRegistration',
        input: ({ context }) => inputs.ensureRegistrationInput(context),
        onDone: { target: 'selectingGrant', actions: ['recordDiscovery', 'adoptServer'] },
        onError: { target: 'settling', actions: ['recordFailure'] },
      },
    },
    selectingGrant: {
      description: 'Selects the grant: authorization code where the server publishes no list (RFC 8414 §2).',
      always: [
        { guard: 'isRenewal', target: 'refreshing', actions: ['claimTokenRequest'] },
        { guard: 'usesAuthorizationCode', target: 'preparingRequest' },
        { guard: 'usesNonInteractiveGrant', target: 'requestingToken', actions: ['claimTokenRequest'] },
        { target: 'settling', actions: ['rejectGrant'] },
      ],
    },
    preparingRequest: {
      description:
        'Builds the authorization request: `state`, PKCE with S256 (RFC 7636), `resource` (RFC 8707) and scope; pushes it where the server requires that (RFC 9126).',
      meta: { rfc: 'RFC 6749 §4.1.1' },
      invoke: {
        id: 'buildAuthorizationRequest',
        src: 'buildAuthorizationRequest',
        input: ({ context }) => inputs.buildAuthorizationRequestInput(context),
        onDone: { target: 'settling', actions: ['addAttempt', 'emitAuthorizationRequest'] },
        onError: [
          { guard: 'mayRegisterAgain', target: 'registering', actions: ['replaceClient'] },
          { target: 'settling', actions: ['recordFailure'] },
        ],
      },
    },
    exchanging: {
      description: 'Redeems an authorization code, which is possible once.',
      initial: 'claimed',
      states: {
        claimed: {
          tags: ['storable', 'checkpoint', 'claim'],
          description:
            'The intent is stored before the code is sent. After the lease another process sends it once more.',
          entry: { type: 'journal', params: { to: 'exchanging' } },
          on: {
            'checkpoint.saved': { guard: 'canProceed', target: 'requesting', actions: ['updateClock'] },
            'claim.expired': [
              { guard: 'canRetry', target: 'claimed', reenter: true, actions: ['expireClaim'] },
              {
                description: 'The server asked to wait longer than the lease (RFC 9110 §10.2.3).',
                guard: 'canRetryLater',
                target: '#connection.settling',
                actions: ['expireClaim'],
              },
              { guard: 'isCurrentClaim', target: '#connection.settling', actions: ['endFailed', 'expireClaim'] },
            ],
          },
        },
        requesting: {
          description: 'The code was sent with the verifier, the redirect URI and the client of its attempt.',
          meta: { rfc: 'RFC 6749 §4.1.3' },
          invoke: {
            id: 'exchangeCode',
            src: 'exchangeCode',
            input: ({ context, event }) => inputs.exchangeCodeInput(context, event),
            onDone: [
              {
                description:
                  'The tokens are not certain to be of the only account allowed, or the policy does not allow their type or scope: they are revoked.',
                guard: 'isDiscarded',
                target: '#connection.settling',
                actions: ['discardTokens', 'endFailed'],
              },
              { target: '#connection.settling', actions: ['withdrawReplacedTokens', 'storeTokens'] },
            ],
            onError: [
              { guard: 'canRetryUnknownOutcome', target: 'claimed', actions: ['markOutcomeUnknown'] },
              { guard: 'isRetryLater', target: '#connection.settling', actions: ['recordFailure', 'retainRetries'] },
              {
                guard: 'isClientRejected',
                target: '#connection.retiring',
                actions: ['recordFailure', 'forgetClient', 'endFailed'],
              },
              { target: '#connection.settling', actions: ['recordFailure', 'endFailed'] },
            ],
          },
        },
      },
    },
    refreshing: {
      description: 'Renews the tokens with the refresh token, which a server may accept only once.',
      initial: 'claimed',
      states: {
        claimed: {
          tags: ['storable', 'checkpoint', 'claim'],
          description:
            'The intent is stored before the refresh token is sent. All other processes wait and adopt the result.',
          entry: { type: 'journal', params: { to: 'refreshing' } },
          on: {
            'checkpoint.saved': { guard: 'canProceed', target: 'requesting', actions: ['updateClock'] },
            'claim.expired': [
              { guard: 'canRetry', target: 'claimed', reenter: true, actions: ['expireClaim'] },
              { guard: 'isCurrentClaim', target: '#connection.settling', actions: ['expireClaim'] },
            ],
          },
        },
        requesting: {
          description: 'The refresh token was sent, to its own issuer only.',
          meta: { rfc: 'RFC 6749 §6' },
          invoke: {
            id: 'refreshTokens',
            src: 'refreshTokens',
            input: ({ context, event }) => inputs.refreshTokensInput(context, event),
            onDone: [
              {
                description:
                  'The tokens are of another account (OpenID Connect Core §12.2), or of more scope than the policy allows: they are revoked.',
                guard: 'isDiscarded',
                target: '#connection.settling',
                actions: ['discardTokens', 'endRefreshes'],
              },
              { target: '#connection.settling', actions: ['storeTokens'] },
            ],
            onError: [
              { guard: 'canRetryUnknownOutcome', target: 'claimed', actions: ['markOutcomeUnknown'] },
              {
                guard: 'isClientRejected',
                target: '#connection.retiring',
                actions: ['recordFailure', 'forgetClient'],
              },
              {
                guard: 'isRefreshTokenRejected',
                target: '#connection.settling',
                actions: ['recordFailure', 'dropRefreshToken'],
              },
              {
                guard: 'isTokenResponseInvalid',
                target: '#connection.settling',
                actions: ['recordFailure', 'markRefreshTokenMaybeConsumed', 'markRenewalRejected'],
              },
              {
                guard: 'isRenewalRejected',
                target: '#connection.settling',
                actions: ['recordFailure', 'markRenewalRejected'],
              },
              { target: '#connection.settling', actions: ['recordFailure'] },
            ],
          },
        },
      },
    },
    requestingToken: {
      description: 'Obtains a token by a non-interactive grant.',
      initial: 'claimed',
      states: {
        claimed: {
          tags: ['storable', 'checkpoint', 'claim'],
          description: 'The intent is stored, so that a whole fleet sends one request.',
          entry: { type: 'journal', params: { to: 'requestingToken' } },
          on: {
            'checkpoint.saved': { guard: 'canProceed', target: 'requesting', actions: ['updateClock'] },
            'claim.expired': [
              { guard: 'canRetry', target: 'claimed', reenter: true, actions: ['expireClaim'] },
              { guard: 'isCurrentClaim', target: '#connection.settling', actions: ['expireClaim'] },
            ],
          },
        },
        requesting: {
          description:
            'Requests a token with client credentials, a JWT of the platform, or an identity assertion. The claim names the grant.',
          meta: { rfc: 'RFC 6749 §4.4, RFC 7523 §2.1' },
          invoke: {
            id: 'requestToken',
            src: 'requestToken',
            input: ({ context, event }) => inputs.requestTokenInput(context, event),
            onDone: [
              {
                description: 'The token is of more scope than the policy allows: it is revoked.',
                guard: 'isDiscarded',
                target: '#connection.settling',
                actions: ['discardTokens', 'endRenewal'],
              },
              { target: '#connection.settling', actions: ['withdrawReplacedTokens', 'storeTokens'] },
            ],
            onError: [
              { guard: 'canRetryUnknownOutcome', target: 'claimed', actions: ['markOutcomeUnknown'] },
              {
                guard: 'isRenewalRejected',
                target: '#connection.settling',
                actions: ['recordFailure', 'markRenewalRejected'],
              },
              { target: '#connection.settling', actions: ['recordFailure'] },
            ],
          },
        },
      },
    },
    retiring: {
      description: 'The server rejected the dynamically registered client: the shared registration forgets it.',
      initial: 'recorded',
      states: {
        recorded: {
          tags: ['storable', 'checkpoint'],
          description: 'The rejection is stored first. Whichever process finds it continues.',
          entry: ['releaseClaim', { type: 'journal', params: { to: 'retiring' } }],
          on: { 'checkpoint.saved': { target: 'forgetting', actions: ['updateClock'] } },
        },
        forgetting: {
          description: 'The registration forgets this client ID, unless it has another one by now.',
          meta: { rfc: 'RFC 6749 §5.2' },
          invoke: {
            id: 'retireRegistration',
            src: 'retireRegistration',
            input: ({ context }) => inputs.retireRegistrationInput(context),
            onDone: { target: '#connection.settling', actions: ['clearRejectedClient'] },
            onError: { target: '#connection.settling', actions: ['updateClock'] },
          },
        },
      },
    },
    disconnecting: {
      description:
        'Revokes tokens that serve nothing else any more: of a connection that was disconnected, of a grant that was replaced by another client, or of a sign-in whose tokens are not allowed.',
      initial: 'claimed',
      states: {
        claimed: {
          tags: ['storable', 'checkpoint', 'claim'],
          description:
            'The intent is stored, so that one process attempts it. Nothing else is held up: any other event takes the claim over.',
          entry: { type: 'journal', params: { to: 'disconnecting' } },
          on: {
            'checkpoint.saved': { target: 'revoking', actions: ['updateClock'] },
            'claim.expired': { guard: 'isCurrentClaim', target: '#connection.settling', actions: ['expireRevocation'] },
          },
        },
        revoking: {
          description:
            'Revokes both tokens, the refresh token first. Until the server has decided, it is attempted again for a day.',
          meta: { rfc: 'RFC 7009 §2' },
          invoke: {
            id: 'revokeTokens',
            src: 'revokeTokens',
            input: ({ context, event }) => inputs.revokeTokensInput(context, event),
            onDone: { target: '#connection.settling', actions: ['endRevocation'] },
            onError: [
              { guard: 'canRetryRevocation', target: '#connection.settling', actions: ['postponeRevocation'] },
              { target: '#connection.settling', actions: ['failRevocation'] },
            ],
          },
        },
      },
    },
    settling: {
      description: 'Decides the resting state from the context alone, so that a failure never hides a usable token.',
      entry: ['pruneExpired'],
      always: [
        {
          guard: { type: 'restsIn', params: { state: 'authorized' } },
          target: 'resting.authorized',
          actions: [{ type: 'journal', params: { to: 'authorized' } }],
        },
        {
          guard: { type: 'restsIn', params: { state: 'awaitingCallback' } },
          target: 'resting.awaitingCallback',
          actions: [{ type: 'journal', params: { to: 'awaitingCallback' } }],
        },
        {
          guard: { type: 'restsIn', params: { state: 'reauthorizationRequired' } },
          target: 'resting.reauthorizationRequired',
          actions: [{ type: 'journal', params: { to: 'reauthorizationRequired' } }],
        },
        {
          guard: { type: 'restsIn', params: { state: 'failed' } },
          target: 'resting.failed',
          actions: [{ type: 'journal', params: { to: 'failed' } }],
        },
        { target: 'resting.disconnected', actions: [{ type: 'journal', params: { to: 'disconnected' } }] },
      ],
    },
  },
})

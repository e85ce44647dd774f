import { assign, setup } from 'xstate'
import type { RegistrationContext } from '../src/schemas/registration.ts'
import { eventAs } from './assert.ts'
import { registrationPorts } from './ports.ts'
import { appendToJournal, hasRetriesLeft, isCurrentClaim, withUnknownOutcome } from './record-rules.ts'
import * as actions from './registration/actions.ts'
import type { RegistrationEvent } from './registration/events.ts'
import * as guards from './registration/guards.ts'
import { amendmentAfter } from './registration/metadata.ts'
import { portFailureOf } from './rejection.ts'

/** The input of a new registration. */
export interface RegistrationInput {
  issuer: string
  redirectUri: string
  /** Record time of the first event. */
  at: number
}

/**
 * One client registration at one issuer, shared by all connections that may share it: a thousand first connections make
 * one dynamic registration.
 *
 * @see [RFC 7591](https://www.rfc-editor.org/rfc/rfc7591.html)
 */
export const registrationMachine = setup({
  types: {
    context: {} as RegistrationContext,
    events: {} as RegistrationEvent,
    input: {} as RegistrationInput,
    tags: {} as 'storable' | 'checkpoint' | 'claim',
    meta: {} as { rfc: string },
  },
  actors: registrationPorts,
  guards: {
    needsRegistration: ({ context, event }) =>
      guards.needsRegistration(context, event) && guards.mayRegister(context, eventAs(event, 'registration.requested')),
    needsCheck: ({ context, event }) => guards.needsCheck(context, event),
    isDueForRenewal: ({ context, event }) => guards.isDueForRenewal(context, event),
    isForgotten: ({ event }) => guards.isForgotten(event),
    isForgottenAndReplaceable: ({ context, event }) => guards.isForgotten(event) && guards.isWithinLimit(context),
    isLimited: ({ context, event }) => guards.isLimited(context, event),
    canAmend: ({ context, event }) => amendmentAfter(context, event) !== undefined && guards.isWithinLimit(context),
    isCurrentClient: ({ context, event }) =>
      guards.isCurrentClient(context, event) && guards.isReplaceable(context, event),
    isAcceptableLateResult: ({ context, event }) => guards.isAcceptableLateResult(context, event),
    canProceed: ({ context }) => context.claim !== undefined && !context.claim.outcomeUnknown,
    isCurrentClaim: ({ context, event }) => isCurrentClaim(context, event),
    canRetry: ({ context, event }) =>
      isCurrentClaim(context, event) && actions.canRetry(context, eventAs(event, 'claim.expired').at),
    canRetryUnknownOutcome: ({ context, event }) =>
      portFailureOf(event).outcome === 'unknown' &&
      hasRetriesLeft(context.claim) &&
      !guards.hasUsableClient(context, context.at),
    isRegistered: ({ context }) => context.client !== undefined,
    hasFailed: ({ context }) => context.failure !== undefined,
  },
  actions: {
    renewRecord: assign({ at: ({ event }) => eventAs(event, 'registration.requested').at }),
    updateClock: assign({ at: ({ event }) => eventAs(event, 'checkpoint.saved').at }),
    claimRegistration: assign(({ context, event }) =>
      actions.claimRegistration(context, eventAs(event, 'registration.requested')),
    ),
    claimCheck: assign(({ context, event }) => actions.claimCheck(context, eventAs(event, 'registration.requested'))),
    recordCheck: assign(({ context, event }) =>
      actions.recordCheck(context, eventAs(event, 'xstate.done.actor.checkRegistration').output),
    ),
    recordFailedCheck: assign(({ context, event }) => actions.recordFailedCheck(context, event)),
    replaceForgottenClient: assign(({ context, event }) =>
      actions.replaceForgottenClient(context, eventAs(event, 'xstate.done.actor.checkRegistration').output),
    ),
    removeForgottenClient: assign(({ context, event }) =>
      actions.removeForgottenClient(context, eventAs(event, 'xstate.done.actor.checkRegistration').output),
    ),
    expireCheck: assign(({ event }) => actions.expireCheck(eventAs(event, 'claim.expired'))),
    rejectRegistration: assign(({ context, event }) =>
      actions.rejectRegistration(context, eventAs(event, 'registration.requested')),
    ),
    markOutcomeUnknown: assign(({ context, event }) => withUnknownOutcome(context, event)),
    expireClaim: assign(({ context, event }) => actions.expireClaim(context, eventAs(event, 'claim.expired'))),
    storeClient: assign(({ context, event }) =>
      actions.storeClient(context, eventAs(event, 'xstate.done.actor.registerClient').output),
    ),
    acceptLateResult: assign(({ context, event }) => actions.storeClient(context, eventAs(event, 'result.late'))),
    forgetClient: assign(({ event }) => actions.forgetClient(eventAs(event, 'client.rejected'))),
    recordFailedMethod: assign(({ context, event }) =>
      actions.recordFailedMethod(context, eventAs(event, 'client.rejected')),
    ),
    amendRegistration: assign(({ context, event }) => actions.amendRegistration(context, event)),
    recordFailure: assign(({ context, event }) => actions.recordFailure(context, event)),
    releaseClaim: assign(({ context }) => actions.releaseClaim(context)),
    journal: assign({
      journal: ({ context, event }, params: { to: string }) =>
        appendToJournal(context, event, params.to, 'unregistered'),
    }),
  },
}).createMachine({
  id: 'registration',
  options: { maxIterations: 100 },
  description: 'One client registration at one issuer (RFC 7591), shared by every connection that may share it.',
  context: ({ input: { issuer, redirectUri, at } }) => ({
    issuer,
    redirectUri,
    at,
    generation: 0,
    registrationEndpoint: '',
    orphanedClaims: [],
    journal: [],
  }),
  initial: 'resting',
  states: {
    resting: {
      description: 'Nothing runs.',
      initial: 'unregistered',
      states: {
        unregistered: { tags: ['storable'], description: 'No client is stored, or the server no longer accepts it.' },
        registered: { tags: ['storable'], description: 'A client is stored; its secret may expire.' },
        failed: { tags: ['storable'], description: 'The last registration failed. The next request tries again.' },
      },
      on: {
        'registration.requested': [
          {
            description:
              'A connection needs a client and none is usable, but as many were registered within the last hour as the policy allows, or the server asked for a later request.',
            guard: 'isLimited',
            target: 'settling',
            actions: ['rejectRegistration'],
          },
          {
            description:
              'A connection needs a client: none is stored whose secret outlasts a sign-in, or it is not registered for the scope that will be requested (RFC 7591 §2).',
            guard: 'needsRegistration',
            target: 'registering',
            actions: ['claimRegistration'],
          },
          {
            description:
              'An attempt with this client ran out or was denied, and nothing has succeeded since: the server may have forgotten the client. Asked at most once an hour.',
            guard: 'needsCheck',
            target: 'checking',
            actions: ['claimCheck'],
          },
          {
            description: 'The client is in use: its record, which expires, is written anew, at most once a week.',
            guard: 'isDueForRenewal',
            actions: ['renewRecord'],
          },
        ],
        'client.rejected': {
          description:
            'The server rejected this client (RFC 6749 §5.2, `invalid_client`). If the client had no tokens yet, the next one is registered with another authentication method, once an hour.',
          guard: 'isCurrentClient',
          target: 'settling',
          actions: ['forgetClient', 'recordFailedMethod'],
        },
        'result.late': {
          description: 'The holder of an orphaned claim submits its client.',
          guard: 'isAcceptableLateResult',
          target: 'settling',
          actions: ['acceptLateResult'],
        },
      },
    },
    checking: {
      description: 'Asks the server whether it still has the stored client, once for all connections.',
      initial: 'claimed',
      states: {
        claimed: {
          tags: ['storable', 'checkpoint', 'claim'],
          description:
            'The intent is stored before the request is sent. All other processes wait. After the lease the client stays as it is, and the next request asks again.',
          entry: { type: 'journal', params: { to: 'checking' } },
          on: {
            'checkpoint.saved': { target: 'requesting', actions: ['updateClock'] },
            'claim.expired': {
              guard: 'isCurrentClaim',
              target: '#registration.settling',
              actions: ['expireCheck'],
            },
          },
        },
        requesting: {
          description:
            'A read request was sent to the client configuration endpoint of the registration, or, where the server gave none, a token request with an invented code (RFC 6749 §5.2). Only an answer that rejects the client counts.',
          meta: { rfc: 'RFC 7592 §2.1' },
          invoke: {
            id: 'checkRegistration',
            src: 'checkRegistration',
            input: ({ context, event }) => actions.checkRegistrationInput(context, event),
            onDone: [
              {
                description: 'The server has forgotten the client: another one is registered in the same run.',
                guard: 'isForgottenAndReplaceable',
                target: '#registration.registering',
                actions: ['replaceForgottenClient'],
              },
              {
                description: 'As many were registered within the last hour as the policy allows.',
                guard: 'isForgotten',
                target: '#registration.settling',
                actions: ['removeForgottenClient'],
              },
              { target: '#registration.settling', actions: ['recordCheck'] },
            ],
            onError: {
              description:
                'Not decided: the client stays as it is. A check that this process did not send, because it was too slow or closing, is made by the next request.',
              target: '#registration.settling',
              actions: ['recordFailedCheck'],
            },
          },
        },
      },
    },
    registering: {
      description: 'Registers a client, once for all connections.',
      initial: 'claimed',
      states: {
        claimed: {
          tags: ['storable', 'checkpoint', 'claim'],
          description: 'The intent is stored before the request is sent. All other processes wait for the client.',
          entry: { type: 'journal', params: { to: 'registering' } },
          on: {
            'checkpoint.saved': { guard: 'canProceed', target: 'requesting', actions: ['updateClock'] },
            'claim.expired': [
              { guard: 'canRetry', target: 'claimed', reenter: true, actions: ['expireClaim'] },
              { guard: 'isCurrentClaim', target: '#registration.settling', actions: ['expireClaim'] },
            ],
          },
        },
        requesting: {
          description: 'The registration request was sent.',
          meta: { rfc: 'RFC 7591 §3.1' },
          invoke: {
            id: 'registerClient',
            src: 'registerClient',
            input: ({ context, event }) => actions.registerClientInput(context, event),
            onDone: { target: '#registration.settling', actions: ['storeClient'] },
            onError: [
              { guard: 'canRetryUnknownOutcome', target: 'claimed', actions: ['markOutcomeUnknown'] },
              {
                description:
                  'The server rejected the metadata (RFC 7591 §3.2.2): another authentication method, the requested scope alone, or no `scope`.',
                guard: 'canAmend',
                target: 'claimed',
                actions: ['amendRegistration'],
              },
              { target: '#registration.settling', actions: ['recordFailure'] },
            ],
          },
        },
      },
    },
    settling: {
      description: 'Decides the resting state from the context alone.',
      entry: ['releaseClaim'],
      always: [
        {
          guard: 'isRegistered',
          target: 'resting.registered',
          actions: [{ type: 'journal', params: { to: 'registered' } }],
        },
        { guard: 'hasFailed', target: 'resting.failed', actions: [{ type: 'journal', params: { to: 'failed' } }] },
        { target: 'resting.unregistered', actions: [{ type: 'journal', params: { to: 'unregistered' } }] },
      ],
    },
  },
})

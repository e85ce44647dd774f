import { describe, expect, test } from 'vitest'
import { isOtherIssuer, lastIssuer } from '../../../../machines/connection/issuers.ts'
import { importCredentials, pruneExpired } from '../../../../machines/connection/tokens.ts'
import { contextWith, issuer, server, tokens } from '../../../support/charts/facts.ts'
import { after, stamp } from './support.ts'

const OTHER = 'https://other.example'

describe('the issuer of the last tokens', () => {
  const signedIn = contextWith({ servers: [server], tokens, generation: 2 })
  const settled = after(signedIn, pruneExpired(signedIn))

  test('is stored with the generation of the tokens, and counts once they are gone', () => {
    expect(settled).toMatchObject({ issuer, issuerGeneration: 2 })
    const over = after(settled, { tokens: undefined })
    expect([lastIssuer(over), isOtherIssuer(over, OTHER)]).toEqual([issuer, true])
  })

  test('does not count once a release that does not store it has stored other tokens', () => {
    const over = after(settled, { tokens: undefined, generation: 3 })
    expect([lastIssuer(over), isOtherIssuer(over, OTHER)]).toEqual([undefined, false])
    expect(after(over, pruneExpired(over))).toMatchObject({ issuer: undefined, issuerGeneration: undefined })
  })

  test('counts for imported tokens that name none', () => {
    const over = after(settled, { tokens: undefined })
    const event = { ...stamp, type: 'credentials.imported', generation: 2 } as const
    const brought = { tokens: { ...tokens, serverId: undefined }, clientInformation: undefined, issuer: undefined }
    const imported = after(over, importCredentials(over, { ...event, ...brought }))
    expect([imported.generation, lastIssuer(imported)]).toEqual([3, issuer])
  })

  test('of a record without a generation of its own is that of the last tokens', () => {
    expect(lastIssuer(contextWith({ issuer }))).toBe(issuer)
  })
})

import { testFleet } from '../support/fleet/fleet-property.ts'

// Short tokens, a grace for refresh tokens, and an `expires_in` that is a string.
testFleet('lenient', { graceMs: 60_000, accessTokenTtlSeconds: 60, quirk: 'stringExpiresIn' })

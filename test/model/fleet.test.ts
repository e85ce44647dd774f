import { testFleet } from '../support/fleet/fleet-property.ts'

// Rotation, and the end of everything where a refresh token comes twice.
testFleet('strict', {})

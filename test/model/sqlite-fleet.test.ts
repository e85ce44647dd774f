import { testFleet } from '../support/fleet/fleet-property.ts'

// The strict server again; records are in a file, whose database measures their age.
testFleet('strict', {}, 'sqlite')

/** What all sequences of a simulated fleet came to. */
export interface FleetCounts {
  sequences: number
  /** How many of the sequences used DPoP, and how many had a connection without a user. */
  dpop: number
  clientCredentials: number
  steps: number
  tokenRequests: number
  registrations: number
  saves: number
  crashes: number
  pauses: number
  retries: number
  lateResults: number
}

export const noCounts = (): FleetCounts => ({
  sequences: 0,
  dpop: 0,
  clientCredentials: 0,
  steps: 0,
  tokenRequests: 0,
  registrations: 0,
  saves: 0,
  crashes: 0,
  pauses: 0,
  retries: 0,
  lateResults: 0,
})

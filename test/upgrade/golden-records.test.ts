import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, inject, test } from 'vitest'
import { GOLDEN_FOLDER } from '../fixtures/snapshots/generate.ts'
import { placeOf, restore } from '../support/charts/chart-graph.ts'

type Charts = typeof import('../../src/connection/chart-definitions.ts')
type Codec = typeof import('../../src/durable/snapshot-codec.ts')
type Machines = typeof import('../../machines/index.ts')

describe.each(inject('releases'))('$name', ({ url }) => {
  test('restores and rewrites every golden record of the current sources unchanged', async () => {
    const load = async <Module>(path: string): Promise<Module> => (await import(`${url}${path}`)) as Module
    const { durableConnection, durableRegistration } = await load<Charts>('src/connection/chart-definitions.js')
    const { decodeEnvelope, decodeSnapshot, encodeSnapshot } = await load<Codec>('src/durable/snapshot-codec.js')
    const { connectionMachine, registrationMachine } = await load<Machines>('machines/index.js')
    const rewritten = readdirSync(GOLDEN_FOLDER).map((file) => {
      const text = readFileSync(new URL(file, GOLDEN_FOLDER), 'utf8').trimEnd()
      const isConnection = decodeEnvelope(text).machine === 'connection'
      const machine = isConnection ? connectionMachine : registrationMachine
      const chart = isConnection ? durableConnection(machine) : durableRegistration(machine)
      const { value, context, savedAt } = decodeSnapshot<unknown>(chart, text)
      const snapshot = restore(machine, { value, context: context as object })
      return [`${chart.name}.${placeOf(snapshot)}`, JSON.parse(encodeSnapshot(chart as never, snapshot, savedAt))]
    })
    const golden = readdirSync(GOLDEN_FOLDER).map((file) => [
      file.replace(/(\+.*)?\.json$/, ''),
      JSON.parse(readFileSync(new URL(file, GOLDEN_FOLDER), 'utf8')),
    ])
    expect(rewritten).toEqual(golden)
  })
})

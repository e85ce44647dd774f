import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, inject, test } from 'vitest'
import type * as Machines from '../../machines/index.ts'
import type * as Charts from '../../src/connection/chart-definitions.ts'
import type * as Codec from '../../src/durable/snapshot-codec.ts'
import { GOLDEN_FOLDER } from '../fixtures/snapshots/generate.ts'
import { placeOf, restore } from '../support/charts/chart-graph.ts'

describe.each(inject('releases'))('$name', ({ url }) => {
  test('restores and rewrites every golden record of the current sources unchanged', async () => {
    const load = async <Module>(path: string): Promise<Module> => (await import(`${url}${path}`)) as Module
    const { durableConnection, durableRegistration } = await load<typeof Charts>('src/connection/chart-definitions.js')
    const { decodeEnvelope, decodeSnapshot, encodeSnapshot } = await load<typeof Codec>('src/durable/snapshot-codec.js')
    const { connectionMachine, registrationMachine } = await load<typeof Machines>('machines/index.js')
    const rewritten = readdirSync(GOLDEN_FOLDER).map((file) => {
      const text = readFileSync(new URL(file, GOLDEN_FOLDER), 'utf8').trimEnd()
      const isConnection = decodeEnvelope(text).machine === 'connection'
      const machine = isConnection ? connectionMachine : registrationMachine
      const chart = isConnection ? durableConnection(machine) : durableRegistration(machine)
      const { value, context, savedAt } = decodeSnapshot<unknown>(chart, text)
      const snapshot = restore(machine, { value, context })
      return [
        `${chart.name}.${placeOf(snapshot)}`,
        JSON.parse(encodeSnapshot(chart as never, snapshot, savedAt)) as unknown,
      ]
    })
    const golden = readdirSync(GOLDEN_FOLDER).map((file) => [
      file.replace(/(\+.*)?\.json$/, ''),
      JSON.parse(readFileSync(new URL(file, GOLDEN_FOLDER), 'utf8')) as unknown,
    ])
    expect(rewritten).toEqual(golden)
  })
})

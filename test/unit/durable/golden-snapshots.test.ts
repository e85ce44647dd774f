import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import type { AnyStateMachine } from 'xstate'
import { connectionMachine } from '../../../machines/connection.ts'
import { registrationMachine } from '../../../machines/registration.ts'
import { durableConnection, durableRegistration } from '../../../src/connection/chart-definitions.ts'
import {
  decodeEnvelope,
  decodeSnapshot,
  encodeSnapshot,
  type SnapshotCodec,
} from '../../../src/durable/snapshot-codec.ts'
import { GOLDEN_FOLDER, goldenSnapshots } from '../../fixtures/snapshots/generate.ts'
import { leavesOf, placeOf, restore, runningPorts } from '../../support/charts/chart-graph.ts'

const folders = new URL('../../fixtures/snapshots/', import.meta.url)
const charts: Record<string, { codec: SnapshotCodec<unknown>; machine: AnyStateMachine }> = {
  connection: { codec: durableConnection(connectionMachine), machine: connectionMachine },
  registration: { codec: durableRegistration(registrationMachine), machine: registrationMachine },
}

/** Every record that a release has ever written, oldest format first: `format-1/connection.resting.failed.json`. */
const golden = readdirSync(folders)
  .filter((name) => name.startsWith('format-'))
  .toSorted()
  .flatMap((folder) => readdirSync(new URL(folder, folders)).map((name) => `${folder}/${name}`))
const textOf = (path: string): string => readFileSync(new URL(path, folders), 'utf8').trimEnd()
const isNewest = (path: string): boolean => new URL(path, folders).href.startsWith(GOLDEN_FOLDER.href)
/** Of `format-1/connection.resting.authorized+dpop.json` only the chart and the state. */
const nameOf = (path: string): string => path.replace(/^.*\/|(\+.*)?\.json$/g, '')

describe('a golden record', () => {
  test('a golden record exists for every storable state of every chart', () => {
    const wanted = Object.entries(charts).flatMap(([name, { machine }]) =>
      leavesOf(machine).flatMap(({ path, tags }) => (tags.includes('storable') ? [`${name}.${path.join('.')}`] : [])),
    )
    expect(new Set(golden.filter(isNewest).map(nameOf))).toEqual(new Set(wanted))
  })

  test.each(golden)('the golden record %s is decoded, restored in its state and encoded unchanged', (path) => {
    const text = textOf(path)
    const { machine: name } = decodeEnvelope(text)
    const chart = charts[name]
    if (chart === undefined) throw new Error(`no chart ${name}`)
    const { savedAt, value, context } = decodeSnapshot(chart.codec, text)
    const snapshot = restore(chart.machine, { value, context })
    expect(snapshot.status).toBe('active')
    expect(`${name}.${placeOf(snapshot)}`).toBe(nameOf(path))
    expect([snapshot.hasTag('storable'), runningPorts(snapshot)]).toEqual([true, []])
    // An older format is lifted to the newest when it is written.
    if (isNewest(path)) expect(encodeSnapshot(chart.codec, snapshot, savedAt)).toBe(text)
  })

  test('golden records contain only fake secrets', () => {
    const secrets = /"(accessToken|refreshToken|clientSecret|code|verifier|d)":"([^"]*)"/g
    const found = golden.flatMap((path) => [...textOf(path).matchAll(secrets)].map(([, , secret]) => secret ?? ''))
    expect(found.length).toBeGreaterThan(20)
    expect(found.filter((secret) => !/^(fake-|access-\d+$|refresh-\d+$|verifier-\d+$|[A-Z_]+$)/.test(secret))).toEqual(
      [],
    )
  })
})

test('the generator still produces every golden file', async () => {
  expect([...(await goldenSnapshots()).keys()].toSorted()).toEqual(readdirSync(GOLDEN_FOLDER).toSorted())
})

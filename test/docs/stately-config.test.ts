import { globSync, readFileSync } from 'node:fs'
import { join, posix } from 'node:path'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { holdsMachine, unreadableByStately } from '../support/machine-source.ts'
import { projectRoot, sourceFiles } from '../support/source-files.ts'

const MACHINES = ['machines/connection.ts', 'machines/registration.ts']

// The fields that the `statelyai` CLI reads. A project without `projectId` and `studioUrl` is local only.
const StatelyConfig = v.strictObject({
  $schema: v.literal('https://stately.ai/schemas/statelyai.json'),
  version: v.literal('1.0.0'),
  projectId: v.optional(v.pipe(v.string(), v.nonEmpty())),
  studioUrl: v.optional(v.pipe(v.string(), v.url())),
  defaultXStateVersion: v.literal(5),
  sourceUpdateStrategy: v.picklist(['preserve', 'rewrite']),
  include: v.pipe(v.array(v.string()), v.nonEmpty()),
  exclude: v.array(v.string()),
  newMachinesDir: v.string(),
})

describe('stately.config.json', () => {
  const config = v.parse(StatelyConfig, JSON.parse(readFileSync(join(projectRoot, 'stately.config.json'), 'utf8')))

  test('stately.config.json has exactly the fields that the CLI reads', () => {
    expect(Object.keys(config).sort()).toEqual([
      '$schema',
      'defaultXStateVersion',
      'exclude',
      'include',
      'newMachinesDir',
      'sourceUpdateStrategy',
      'version',
    ])
  })

  test('stately.config.json includes exactly the two charts', () => {
    const found = globSync(config.include, { cwd: projectRoot, exclude: config.exclude })
    expect(found.map((path) => path.split('\\').join('/')).sort()).toEqual(MACHINES)
  })

  test('no file outside of stately.config.json contains a chart', () => {
    const holders = [...sourceFiles('src', 'machines')].filter(([, text]) => holdsMachine(text)).map(([path]) => path)
    expect(holders).toEqual(MACHINES)
  })

  test('stately.config.json puts new charts into machines/', () => {
    expect(MACHINES.map((path) => posix.dirname(path))).toEqual([config.newMachinesDir, config.newMachinesDir])
  })
})

describe('every chart', () => {
  const files = sourceFiles('machines')

  test.each(MACHINES)('Stately can read the chart %s', (path) => {
    expect(unreadableByStately(path, files.get(path) ?? '')).toEqual([])
  })

  test.each([
    ['export const a = 1', ['m.ts:1: no createMachine']],
    ['const m = createMachine({ states: {} })', ['m.ts:1: not setup(…).createMachine(…)']],
    ['const s = setup({})\nconst m = s.createMachine({})', ['m.ts:2: not setup(…).createMachine(…)']],
    ['const m = setup({}).createMachine(config)', ['m.ts:1: the configuration is not a literal']],
    [
      'const m = setup({}).createMachine({})\nconst n = setup({}).createMachine({})',
      ['m.ts:2: more than one createMachine'],
    ],
    [
      'const m = setup({}).createMachine({\n...base,\nstates: {\n[name]: {} } })',
      ['m.ts:2: a spread', 'm.ts:4: a computed name'],
    ],
    [
      'const m = setup({}).createMachine({\nstates,\non: handlers,\nalways: [\n...more] })',
      ['m.ts:2: a value from elsewhere', 'm.ts:3: a value from elsewhere', 'm.ts:5: a spread'],
    ],
    [
      'const m = setup({}).createMachine({\non: make(),\nalways: [\nfirst, new Step()],\nmeta: { rfc:\nRFC } })',
      ['m.ts:2: a call', 'm.ts:4: a value from elsewhere', 'm.ts:4: a call', 'm.ts:6: a value from elsewhere'],
    ],
    [
      'const m = setup({}).createMachine({\nentry: () => {},\nexit() {},\ninput: inputOf(),\ndescription:\n`a ${b}`,\nid:\na ? 1 : 2 })',
      [
        'm.ts:2: a function',
        'm.ts:3: a function',
        'm.ts:4: a call',
        'm.ts:6: a value from elsewhere',
        'm.ts:8: a value from elsewhere',
      ],
    ],
    [
      "const m = setup({ actors }).createMachine({ context: ({ input }) => ({ ...input }), on: { go: { target: 'a', actions: ['x'] } } })",
      [],
    ],
  ])('unreadableByStately reports every construct that Stately cannot read: %j', (text, why) => {
    expect(unreadableByStately('m.ts', text)).toEqual(why)
  })
})

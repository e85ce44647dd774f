import { expect, test } from 'vitest'
import { BUILT_IN_FACTS } from '../../src/protocol/built-in-facts.ts'
import { markdownFiles } from '../support/source-files.ts'

test('docs/servers.md lists every built-in row of server facts with all its issuers', () => {
  const [, table = ''] = (markdownFiles().get('docs/servers.md') ?? '').split('## What authchart knows of servers')
  const documented = [...table.matchAll(/^\| (.+?) +\| (`https.*?) +\|/gm)].map(([, server = '', issuers = '']) => [
    server,
    [...issuers.matchAll(/`([^`]+)`/g)].map(([, issuer]) => issuer),
  ])
  const built = Map.groupBy(BUILT_IN_FACTS, ({ server }) => server)
  expect(documented).toEqual([...built].map(([server, rows]) => [server, rows.flatMap(({ issuers }) => issuers)]))
})

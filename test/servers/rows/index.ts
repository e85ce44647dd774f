import type { Row } from '../row.ts'
import { ATLASSIAN } from './atlassian.ts'
import { DEVELOPMENT } from './development.ts'
import { GITHUB } from './github.ts'
import { GOOGLE } from './google.ts'
import { HOSTING } from './hosting.ts'
import { IDENTITY_PROVIDERS } from './identity-providers.ts'
import { MICROSOFT } from './microsoft.ts'
import { MISMATCHES } from './mismatches.ts'
import { MONEY } from './money.ts'
import { SCHEDULES } from './schedules.ts'
import { SEARCH } from './search.ts'
import { SLACK } from './slack.ts'
import { STORAGE } from './storage.ts'
import { WORK } from './work.ts'
import { WORKERS } from './workers.ts'

/** Every recorded server. */
export const ROWS: readonly Row[] = [
  ...ATLASSIAN,
  ...DEVELOPMENT,
  ...GITHUB,
  ...GOOGLE,
  ...HOSTING,
  ...IDENTITY_PROVIDERS,
  ...MICROSOFT,
  ...MISMATCHES,
  ...MONEY,
  ...SCHEDULES,
  ...SEARCH,
  ...SLACK,
  ...STORAGE,
  ...WORK,
  ...WORKERS,
]

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { setTimeout as delay } from 'node:timers/promises'
import type { CallError } from '../fault-process.ts'
import { type Fleet, type Member, openFleet } from '../fleet.ts'
import { inMotion, judge } from '../outage.ts'
import { randomSequence } from '../random.ts'
import { WAY_OUT_MS } from '../settings.ts'
import type { Variant } from '../variant.ts'

const ROUNDS = 5
const WRITERS = 8
const LONGEST_LIFE_MS = 600

/** The numbers of the last token that was sent to be stored, and of the last one that a process said was stored. */
interface Book {
  readonly user: string
  sent: number
  acknowledged: number
}

const tokenOf = ({ user }: Book, number: number): string => `${user}:${number}`

/** Imports one token after another until the process is gone. An import costs nothing when it is lost with its process. */
async function write({ of }: Fleet, { process, caller }: Member, book: Book): Promise<void> {
  while (!process.hasEnded) {
    book.sent += 1
    try {
      await caller.import(of(book.user), { tokens: { accessToken: tokenOf(book, book.sent) } })
      book.acknowledged = book.sent
    } catch (error) {
      const { code } = error as CallError
      if (code !== undefined && code !== 'STORE_UNAVAILABLE') throw error
    }
  }
}

/** What a process reads that is not what the books say. */
async function lost({ of }: Fleet, { caller }: Member, books: readonly Book[]): Promise<string[]> {
  const problems: string[] = []
  for (const book of books) {
    const { value } = await caller.accessToken(of(book.user))
    const number = Number(value.split(':')[1])
    if (value !== tokenOf(book, number) || number < book.acknowledged || number > book.sent)
      problems.push(`lost: ${value} is stored, ${book.acknowledged} was acknowledged and ${book.sent} sent`)
  }
  return problems
}

/** Kills processes that write, one after another, while others use the same file. */
async function killWriters(fleet: Fleet, books: readonly Book[], random: () => number): Promise<number> {
  let interrupted = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const acknowledged = books.map((book) => book.acknowledged)
    const victim = fleet.start()
    const writing = books.map((book) => write(fleet, victim, book))
    const deadline = performance.now() + 2 * WAY_OUT_MS
    const silent = (): Book[] => books.filter((book, index) => book.acknowledged === acknowledged[index])
    while (silent().length > 0) {
      if (performance.now() > deadline) throw new Error(`stuck: ${silent().length} writers stored nothing`)
      await delay(10)
    }
    await delay(random() * LONGEST_LIFE_MS)
    await victim.process.end()
    await Promise.all(writing)
    interrupted += books.filter((book) => book.sent > book.acknowledged).length
  }
  return interrupted
}

export const sqliteKilled: Variant = {
  name: 'SQLite has processes killed in the middle of their writes under load',
  run: async (seed) => {
    const folder = await mkdtemp(join(tmpdir(), 'authchart-outage-'))
    const path = join(folder, 'records.sqlite')
    const fleet = await openFleet({ kind: 'sqlite', path }, 2)
    try {
      const books = Array.from({ length: WRITERS }, (_, index): Book => ({
        user: `writer-${index}`,
        sent: 0,
        acknowledged: 0,
      }))
      const { result: interrupted, moved } = await inMotion(fleet, { connections: WRITERS, seed }, () =>
        killWriters(fleet, books, randomSequence(seed)),
      )
      await Promise.all(fleet.members.map(({ process }) => process.end()))
      // The last process that had the file open was killed as well.
      const problems = [...moved.problems, ...(await lost(fleet, fleet.start(), books))]
      const database = new DatabaseSync(path)
      const { integrity_check: integrity } = database.prepare('PRAGMA integrity_check').get() as Record<string, unknown>
      database.close()
      if (integrity !== 'ok') problems.push(`the file is damaged: ${String(integrity)}`)
      if (interrupted === 0) problems.push('the outage did not hit')
      const written = books.reduce((total, { acknowledged }) => total + acknowledged, 0)
      return {
        summary: `${interrupted} writes interrupted; ${written} writes and ${moved.resolved} of ${moved.calls} calls succeeded; ${judge(problems).text}`,
        problems,
      }
    } finally {
      await fleet.close()
      await rm(folder, { recursive: true, force: true })
    }
  },
}

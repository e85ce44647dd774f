import { spawnSync } from 'node:child_process'
import { PassThrough, Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { fromWebStream, toWebStream } from '../../../src/http/body-streams.ts'

const read = async (stream: ReadableStream<Uint8Array>): Promise<string> =>
  await new Response(stream as BodyInit).text()

test('toWebStream and fromWebStream pass on a whole stream', async () => {
  expect(await read(toWebStream(Readable.from([Buffer.from('a'), Buffer.from('b')])))).toBe('ab')
  expect(await read(toWebStream(fromWebStream(new Blob(['there and back']).stream())))).toBe('there and back')
})

test('fromWebStream does not end the process if its source fails before somebody reads it', () => {
  const script = `
    import { fromWebStream } from ${JSON.stringify(new URL('../../../src/http/body-streams.ts', import.meta.url))}
    const failing = new ReadableStream({ pull: (controller) => controller.error(new TypeError('terminated')) })
    fromWebStream(failing).once('close', () => setImmediate(() => console.log('alive'))).read(0)
  `
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  })
  expect({ stdout, status }).toEqual({ stdout: 'alive\n', status: 0 })
})

test('toWebStream reads ahead no further than its limit', async () => {
  let sent = 0
  const source = new Readable({
    highWaterMark: 1,
    read() {
      sent += 1
      this.push(Buffer.alloc(16_384))
    },
  })
  const reader = toWebStream(source).getReader()
  await reader.read()
  await new Promise((resolve) => setImmediate(resolve))
  expect(sent).toBeLessThanOrEqual(8)
  await reader.cancel()
})

test('toWebStream rejects the reader with the error of its source', async () => {
  const source = new PassThrough()
  const reader = toWebStream(source).getReader()
  source.destroy(new Error('broken'))
  await expect(reader.read()).rejects.toThrow('broken')
})

test('toWebStream destroys its source when cancelled and ignores later events', async () => {
  const source = new PassThrough()
  const stream = toWebStream(source)
  const uncaught: unknown[] = []
  const note = (error: unknown): number => uncaught.push(error)
  process.on('uncaughtException', note)
  await stream.cancel()
  source.emit('data', Buffer.from('late'))
  source.emit('readable')
  await new Promise((resolve) => setImmediate(resolve))
  process.off('uncaughtException', note)
  expect({ isDestroyed: source.destroyed, uncaught }).toEqual({ isDestroyed: true, uncaught: [] })
})

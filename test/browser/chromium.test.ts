import { expect, test } from 'vitest'
import { findChromium } from './chromium.ts'

test('the error on a machine without Chromium says what to install', () => {
  expect(() => findChromium('/nowhere')).toThrow(/apt-get install --no-install-recommends chromium/)
})

import { expect, test } from 'vitest'
import { findChromium } from './chromium.ts'

test('a machine without Chromium is told what to install', () => {
  expect(() => findChromium('/nowhere')).toThrow(/apt-get install --no-install-recommends chromium/)
})

import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'

/** What distributions call it. */
const NAMES = ['chromium', 'chromium-browser', 'google-chrome']

const ADVICE =
  'no Chromium for the tests of test/browser: install one with "apt-get install --no-install-recommends chromium", "dnf install chromium" or "brew install --cask chromium"'

/**
 * The Chromium of the PATH.
 *
 * @throws `Error` that says what to install.
 */
export function findChromium(path = process.env['PATH'] ?? ''): string {
  const folders = path.split(delimiter).filter((folder) => folder !== '')
  const found = NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((file) => existsSync(file))
  if (found === undefined) throw new Error(ADVICE)
  return found
}

/** A host name of the internet, as far as the browser knows: an https redirect URI may not name `localhost`. */
export const PUBLIC_NAME = 'secure.example.test'

/** Starts Chromium without a window, which reaches nothing but this machine. */
export const startChromium = (): Promise<Browser> =>
  chromium.launch({
    executablePath: findChromium(),
    args: [
      '--no-proxy-server',
      `--host-resolver-rules=MAP ${PUBLIC_NAME} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost`,
    ],
  })

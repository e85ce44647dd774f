import { join } from 'node:path'

/** The path of a file of a package that is installed here. */
export const installedFile = (...path: string[]): string => join(import.meta.dirname, 'node_modules', ...path)

const isArm = process.arch === 'arm64'

/** Runtimes other than the Node that runs the tests. */
export const BUN = installedFile('@oven', `bun-linux-${isArm ? 'aarch64' : 'x64'}`, 'bin/bun')
export const DENO = installedFile('@deno', `linux-${process.arch}-glibc`, 'deno')
export const NODE_20 = installedFile(`node-linux-${process.arch}`, 'bin/node')

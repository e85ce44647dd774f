import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { AgentCommands, AgentInit, FromAgent, ToAgent } from './agent-commands.ts'

/** A process of the demo, as the directing process sees it. */
export interface Agent extends AgentCommands {
  /** Its name in the output. */
  readonly name: string
  /** The URL of its HTTP server. */
  readonly origin: string
  signal(signal: NodeJS.Signals): void
  end(): Promise<void>
}

/** Starts a process of the demo; `say` receives its output lines. */
export async function startAgent(init: AgentInit, say: (who: string, line: string) => void): Promise<Agent> {
  const child = fork(fileURLToPath(new URL('agent.ts', import.meta.url)), { execArgv: [], serialization: 'advanced' })
  const name = `${init.name} (pid ${child.pid})`
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>()
  const send = (message: ToAgent): void => void child.send(message)
  let lastId = 0

  const listening = new Promise<string>((resolve, reject) => {
    child.on('message', (message: FromAgent) => {
      if ('listening' in message) return resolve(message.listening)
      if ('line' in message) return say(name, message.line)
      const caller = waiting.get(message.id)
      waiting.delete(message.id)
      return 'error' in message ? caller?.reject(new Error(message.error)) : caller?.resolve(message.value)
    })
    void gone.then(() => {
      const error = new Error(`${name} ended unexpectedly`)
      reject(error)
      for (const caller of waiting.values()) caller.reject(error)
    })
  })
  const ask =
    <Command extends keyof AgentCommands>(command: Command) =>
    (tenant = ''): ReturnType<AgentCommands[Command]> =>
      new Promise((resolve, reject) => {
        lastId += 1
        waiting.set(lastId, { resolve, reject })
        send({ id: lastId, command, tenant })
      }) as ReturnType<AgentCommands[Command]>

  send({ init })
  const origin = await listening
  const close = ask('close')
  return {
    name,
    origin,
    callTool: ask('callTool'),
    accessToken: ask('accessToken'),
    status: ask('status'),
    disconnect: ask('disconnect'),
    close,
    signal: (signal) => void child.kill(signal),
    end: async () => {
      child.kill('SIGKILL')
      await gone
    },
  }
}

import { setTimeout as sleep } from 'node:timers/promises'
import { Group, type OpenOptions } from './group.ts'
import { Pollers, type PollOptions } from './polls.ts'
import { Publisher } from './publisher.ts'
import { StormingClients, subscribeSteadily, type SteadySubscriptions, type Storm } from './subscribers.ts'
import { flood, SteadyTraffic, type Flood, type Steady } from './traffic.ts'

/**
 * The process of the load generator. It executes commands that arrive over IPC, one at a time, so that the process that
 * measures does nothing else in the meantime.
 */
const groups = new Map<string, Group>()
let pollers: Pollers | null = null
let traffic: SteadyTraffic | null = null
let storming: StormingClients | null = null
const publisher = await Publisher.connect(Number(process.argv[2]))

function group(name: string): Group {
  const known = groups.get(name)
  if (known === undefined) throw new Error(`There is no group "${name}"`)
  return known
}

/** A run has either polls or sockets. */
const mainTally = () => pollers?.tally ?? group('main').tally

const commands = {
  async open(name: string, options: OpenOptions) {
    const opened = new Group(options)
    groups.set(name, opened)
    return opened.open()
  },
  async reopen(name: string, port: number) {
    return group(name).reopen(port)
  },
  async pause(name: string) {
    group(name).pause()
  },
  async resume(name: string) {
    group(name).resume()
  },
  async close(name: string) {
    group(name).close()
  },
  /** The counters of a group. */
  async state(name: string) {
    const { gaps, lost, deflated, tally } = group(name)
    return { gaps, lost, deflated, deliveries: tally.deliveries, disorder: tally.disorder }
  },
  /** Clients that authenticate and subscribe, and do not poll. */
  async startPolls(options: PollOptions) {
    return { seconds: await new Pollers(options).start() }
  },
  async openPolls(options: PollOptions) {
    pollers = new Pollers(options)
    await pollers.open()
    // The first poll of each client has to arrive before anything is published.
    await sleep(300)
  },
  async polls() {
    pollers!.check()
    return { polls: pollers!.polls }
  },
  async subscribe(options: SteadySubscriptions) {
    return subscribeSteadily(options)
  },
  async gather({ ports, clients }: Storm) {
    storming = new StormingClients(ports)
    await storming.open(clients)
  },
  async storm() {
    const result = await storming!.reconnect()
    storming!.close()
    return result
  },
  async body(bytes: number) {
    publisher.setBody(bytes)
  },
  async flood(options: Flood) {
    return flood(publisher, mainTally(), options)
  },
  async start(options: Steady) {
    traffic = new SteadyTraffic(publisher, mainTally(), options)
  },
  async finish() {
    return traffic!.finish()
  },
  async steady(options: Steady & { readonly seconds: number }) {
    const steady = new SteadyTraffic(publisher, mainTally(), options)
    await sleep(options.seconds * 1000)
    return steady.finish()
  },
  async cpu() {
    const { user, system } = process.cpuUsage()
    return { seconds: (user + system) / 1e6 }
  },
}

export type Commands = typeof commands
export type Request = { readonly id: number; readonly name: keyof Commands; readonly args: unknown[] }
export type Response = { readonly id: number; readonly result?: unknown; readonly error?: string }

process.on('message', async ({ id, name, args }: Request) => {
  try {
    const command = commands[name] as (...args: unknown[]) => Promise<unknown>
    process.send!({ id, result: await command(...args) } satisfies Response)
  } catch (error) {
    process.send!({ id, error: (error as Error).stack ?? String(error) } satisfies Response)
  }
})
process.on('disconnect', () => process.exit())
process.send!({ id: 0 } satisfies Response)

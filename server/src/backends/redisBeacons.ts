import { makeBeacon, timeOfBeacon } from '../channels/position.ts'
import type { ControlCodec } from '../control/codec.ts'
import { beaconTemplate } from '../control/control.ts'
import { BroadcasterError } from '../errors.ts'
import type { Beacon } from './backend.ts'
import { beaconScripts, type BrokerKind } from './beaconScripts.ts'
import type { Commands } from './redisConnection.ts'
import type { OrderNames } from './orderNames.ts'
import { redisScripts, type RedisScripts } from './redisScripts.ts'

/**
 * How far a proposal is ahead of the clock. It is about the latency to Redis, so that most proposals are accepted at
 * the first try.
 */
const AHEAD_MS = 20
/** The maximum number of proposals. Retries are needed while other nodes propose at the same time. */
const MAX_TRIES = 20

/** A beacon whose reply was lost is not made again here: the caller decides that. */
const unrepeatable = new Set(['make', 'take'])

type Reply = [number: string, nowMs: string, receivers: number]

/** Makes beacons with a script in Redis. */
export class RedisBeacons {
  readonly #scripts: RedisScripts<'make' | 'take'>
  readonly #names: OrderNames
  readonly #codec: ControlCodec
  /**
   * The least number that Redis would accept next, as far as is known; and how far the clock of Redis is ahead of ours.
   */
  #next = 0
  #aheadMs = 0

  constructor(commands: Commands, names: OrderNames, codec: ControlCodec, kind: BrokerKind) {
    this.#scripts = redisScripts(commands, beaconScripts[kind], unrepeatable)
    this.#names = names
    this.#codec = codec
  }

  async make(floor: number, isOver: boolean): Promise<Beacon> {
    if (this.#codec.isSigned) return this.#propose(floor, isOver)
    const [n, nowMs, receivers] = await this.#run('make', floor, isOver, ...beaconTemplate)
    return { n: Number(n), nowMs: Number(nowMs), receivers }
  }

  async #propose(floor: number, isOver: boolean): Promise<Beacon> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const n = this.#proposal(tries)
      const text = this.#codec.encode(this.#names.controlChannel, { type: 'beacon', number: n })
      const [next, nowMs, receivers] = await this.#run('take', floor, isOver, String(n), text)
      this.#next = Number(next)
      this.#aheadMs = Number(nowMs) - Date.now()
      this.#codec.brokerTime(Number(nowMs))
      if (receivers >= 0) return { n, nowMs: Number(nowMs), receivers }
    }
    throw new BroadcasterError('brokerUnavailable', 'Other nodes made a beacon before each of ours')
  }

  /** Returns a number with a random distance that grows with each try, so that nodes that collide separate. */
  #proposal(tries: number): number {
    const leastMs = Math.max(timeOfBeacon(this.#next) + 1, Date.now() + this.#aheadMs + AHEAD_MS)
    return makeBeacon(leastMs + Math.floor(Math.random() * 2 ** Math.min(tries, 10)), this.#next)
  }

  async #run(script: 'make' | 'take', floor: number, isOver: boolean, ...args: string[]): Promise<Reply> {
    const { salt, controlChannel, beaconKey } = this.#names
    const keys = [beaconKey]
    return (await this.#scripts[script](keys, salt, floor, Number(isOver), controlChannel, ...args)) as Reply
  }
}

import { overlap, readKey, type Key } from './key.ts'
import type { AllParamsOf, KeyFor, NamesOf, ParamsOf } from './names.ts'
import { parseBody } from './parseBody.ts'
import { isText, type Schema } from './schema.ts'

/** The schema of each channel, by the name of the channel: `{ orders: Order, 'room:{id}': RoomMessage }`. */
export type Schemas = { readonly [Key in string]: Schema }

/** What the server and the client use of a {@link ChannelMap}. */
export interface AnyChannelMap {
  match(channel: string): { readonly params: Readonly<Record<string, string>> } | undefined
  encode(channel: string, body: unknown): string
  decode(channel: string, body: string): unknown
}

/** The channels of an application. {@link defineChannels} makes it. */
export interface ChannelMap<S extends Schemas = Schemas> extends AnyChannelMap {
  readonly schemas: S
  /** The key, the params and the schema of a channel. `undefined` if the map does not have the channel. */
  match(channel: string): ChannelMatch<S> | undefined
  /**
   * Makes the string to publish, for a process that publishes without `@broadcaster/server`.
   *
   * @throws {SchemaError} if the body does not fit the schema after it was converted to JSON
   * @throws {TypeError} if the map does not have the channel, or if JSON cannot represent the body
   */
  encode<Name extends ChannelNameOf<S>>(channel: Name, body: InputOf<S, Name>): string
  /**
   * Parses a published string.
   *
   * @throws {SchemaError} if it does not fit the schema
   * @throws {TypeError} if the map does not have the channel
   */
  decode<Name extends string>(channel: Name, body: string): OutputOf<S, Name>
}

export type ChannelMatch<S extends Schemas> = {
  [Key in keyof S & string]: {
    /** The key of the map: `room:{id}`. */
    readonly key: Key
    readonly params: ParamsOf<Key>
    readonly schema: S[Key]
  }
}[keyof S & string]

/** The names of the channels: `'orders' | 'room:${string}'`. */
export type ChannelNameOf<S extends Schemas> = NamesOf<keyof S & string>

/** The params of all channels, for `canSubscribe`. A param that some channels do not have may be `undefined`. */
export type ChannelParamsOf<S extends Schemas> = AllParamsOf<keyof S & string>

/** What may be published on a channel: the input of its schema. */
export type InputOf<S extends Schemas, Name extends string> = TypesOf<
  S[KeyFor<keyof S & string, Name>]
>['input']

/** The body that a handler gets: the output of the channel's schema. */
export type OutputOf<S extends Schemas, Name extends string> = TypesOf<
  S[KeyFor<keyof S & string, Name>]
>['output']

type TypesOf<S extends Schema> = NonNullable<S['~standard']['types']>

/** An entry of `interface Channels` whose bodies the client parses, with its option `channels`. */
export interface Parsed<Body> {
  readonly '~parsed': Body
}

/**
 * Declares the channels of the map for the client and the hooks:
 *
 * ```ts
 * declare module '@broadcaster/client' {
 *   interface Channels extends ChannelsOf<typeof channels> {}
 * }
 * ```
 */
export type ChannelsOf<Map extends { readonly schemas: Schemas }> = {
  [Key in keyof Map['schemas']]: Parsed<TypesOf<Map['schemas'][Key]>['output']>
}

/**
 * Defines the channels of an application, for its server and its pages:
 *
 * ```ts
 * export const channels = defineChannels({ orders: Order, 'room:{id}': RoomMessage })
 * ```
 *
 * The schemas are Standard Schemas (zod, valibot, arktype, ...), and synchronous. In a key, `{id}` is a param: one or more
 * characters. It does not contain the character that follows it in the key. If it ends the key, it does not contain the
 * character before it. A brace in the name of a channel is written twice.
 *
 * @throws {TypeError} if a key is not valid, if a value is not a Standard Schema, or if a name would fit two keys with params.
 * (A key without params may fit another one, and goes first.)
 */
export function defineChannels<S extends Schemas>(schemas: S): ChannelMap<S> {
  return new Channels(schemas)
}

interface Entry {
  readonly key: Key
  readonly schema: Schema
}

/** Its prototype has no properties, so a param that the channel does not have is `undefined`, whatever its name is. */
type Params = Readonly<Record<string, string>>

class Channels<S extends Schemas> implements ChannelMap<S> {
  readonly schemas: S
  readonly #named = new Map<string, Entry>()
  readonly #patterns: Entry[] = []

  constructor(schemas: S) {
    this.schemas = schemas
    for (const [name, schema] of Object.entries(schemas)) {
      if (typeof schema?.['~standard']?.validate !== 'function') {
        const known = 'zod from 3.24, valibot from 1.0, arktype from 2.0, ...'
        throw new TypeError(`defineChannels(): the value of "${name}" is not a Standard Schema (${known})`)
      }
      const key = readKey(name)
      if (key.params.length === 0) {
        this.#named.set(key.name, { key, schema })
        continue
      }
      const other = this.#patterns.find((entry) => overlap(entry.key, key))
      if (other) {
        throw new TypeError(
          `defineChannels(): there are names that fit both "${other.key.text}" and "${name}"`,
        )
      }
      this.#patterns.push({ key, schema })
    }
  }

  match(channel: string): ChannelMatch<S> | undefined {
    const found = this.#find(channel)
    if (!found) return undefined
    const [{ key, schema }, params] = found
    return { key: key.text, params, schema } as unknown as ChannelMatch<S>
  }

  encode(channel: string, body: unknown): string {
    const { schema } = this.#get(channel)
    const encoded = (isText(schema) ? body : JSON.stringify(body)) as string
    // What is checked is what clients receive: a Date is text, for instance.
    parseBody(schema, channel, encoded)
    return encoded
  }

  decode<Name extends string>(channel: Name, body: string): OutputOf<S, Name> {
    return parseBody(this.#get(channel).schema, channel, body) as OutputOf<S, Name>
  }

  #get(channel: string): Entry {
    const found = this.#find(channel)
    if (!found) throw new TypeError(`There is no channel "${channel}" in the map of defineChannels()`)
    return found[0]
  }

  #find(channel: string): readonly [Entry, Params] | undefined {
    const params: Record<string, string> = Object.create(null)
    const named = this.#named.get(channel)
    if (named) return [named, params]
    for (const entry of this.#patterns) {
      const values = entry.key.names.exec(channel)
      if (!values) continue
      entry.key.params.forEach((param, i) => (params[param] = values[i + 1]!))
      return [entry, params]
    }
    return undefined
  }
}

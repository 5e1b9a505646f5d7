/** The parts of a key: texts and names of params in turn. It begins and ends with a text. */
type Parts<Key extends string, Text extends string = ''> = Key extends `${infer Before}{${infer After}`
  ? After extends `{${infer Rest}`
    ? Parts<Rest, `${Text}${Unescaped<Before>}{`>
    : After extends `${infer Param}}${infer Rest}`
      ? [`${Text}${Unescaped<Before>}`, Param, ...Parts<Rest>]
      : never
  : [`${Text}${Unescaped<Key>}`]

type Unescaped<Text extends string> = Text extends `${infer Before}}}${infer After}`
  ? `${Before}}${Unescaped<After>}`
  : Text

type NameOf<P> = P extends [infer Text extends string, string, ...infer Rest]
  ? `${Text}${string}${NameOf<Rest>}`
  : P extends [infer Text extends string]
    ? Text
    : never

type ParamOf<P> = P extends [string, infer Param extends string, ...infer Rest]
  ? Param | ParamOf<Rest>
  : never

/** The names of channels that a key of the map stands for: for `room:{id}`, it is `room:${string}`. */
export type NamesOf<Key extends string> = Key extends unknown ? NameOf<Parts<Key>> : never

/** The params of a key: for `room:{id}`, it is `{ id: string }`. */
export type ParamsOf<Key extends string> = { readonly [Param in ParamOf<Parts<Key>>]: string }

/** The params of all channels. A param that some channels do not have may be `undefined`. */
export type AllParamsOf<Key extends string> = {
  readonly [Param in Key extends unknown ? ParamOf<Parts<Key>> : never]: Key extends unknown
    ? Param extends ParamOf<Parts<Key>>
      ? string
      : undefined
    : never
}

/**
 * The key of the map that is used for a name. A key without params goes first, as at run time. If the name contains
 * `${string}`, or is any string, it is every key that may be used. It is `never` if there is none.
 */
export type KeyFor<Key extends string, Name extends string> = Name extends unknown
  ? [SameName<Key, Name>] extends [never]
    ? PossibleKey<Key, Name>
    : SameName<Key, Name>
  : never

type SameName<Key, Name> = Key extends string
  ? Parts<Key> extends [infer Text]
    ? Name extends Text
      ? Key
      : never
    : never
  : never

type PossibleKey<Key, Name> = Key extends string
  ? string extends Name
    ? Key
    : Parts<Key> extends [infer Text]
      ? Text extends Name
        ? Key
        : never
      : Fits<Name, Parts<Key>> extends true
        ? Key
        : never
  : never

/** Whether the name fits the parts, by the same rule as {@link readKey}. `${string}` in a name stands for a param. */
type Fits<Name, P> = P extends [infer Text extends string, string, infer Next extends string, ...infer Rest]
  ? Name extends `${Text}${infer Left}`
    ? Next extends ''
      ? IsParam<Left, LastOf<Text>>
      : Left extends `${infer Value}${Next}${infer After}`
        ? IsParam<Value, FirstOf<Next>> extends true
          ? Fits<`${Next}${After}`, [Next, ...Rest]>
          : false
        : false
    : false
  : P extends [Name]
    ? true
    : false

type IsParam<Value extends string, Separator extends string> = Value extends ''
  ? false
  : Separator extends ''
    ? true
    : Value extends `${string}${Separator}${string}`
      ? false
      : true

type FirstOf<Text extends string> = Text extends `${infer Char}${string}` ? Char : ''

type LastOf<Text extends string> = Text extends `${infer Char}${infer Rest}`
  ? Rest extends ''
    ? Char
    : LastOf<Rest>
  : ''

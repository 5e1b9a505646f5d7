export { defineChannels } from './defineChannels.ts'
export type {
  AnyChannelMap,
  ChannelMap,
  ChannelMatch,
  ChannelNameOf,
  ChannelParamsOf,
  ChannelsOf,
  InputOf,
  OutputOf,
  Parsed,
  Schemas,
} from './defineChannels.ts'
export type { KeyFor, NamesOf, ParamsOf } from './names.ts'
export { parseBody, SchemaError } from './parseBody.ts'
export { text } from './schema.ts'
export type { Schema, SchemaIssue } from './schema.ts'

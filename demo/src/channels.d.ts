import type { ChannelsOf } from '@broadcaster/channels'
import type { channels } from '../channels.ts'

// From here on, the client and the hooks know the channels and the types of their messages.
declare module '@broadcaster/client' {
  interface Channels extends ChannelsOf<typeof channels> {}
}

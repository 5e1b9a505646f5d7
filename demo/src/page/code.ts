type File = { readonly name: string; readonly load: () => Promise<{ default: string }> }

export type Part = 'market' | 'breakIt' | 'notes' | 'desk' | 'account' | 'anyChannel'

/** The source files of each part. They are loaded when they are opened. */
export const filesOf: Record<Part, readonly File[]> = {
  market: [
    { name: 'PriceRow.tsx', load: () => import('../market/PriceRow.tsx?raw') },
    { name: 'PriceChart.tsx', load: () => import('../market/PriceChart.tsx?raw') },
    { name: 'channels.ts', load: () => import('../../channels.ts?raw') },
    { name: 'simulator.ts', load: () => import('../../simulator/simulator.ts?raw') },
  ],
  breakIt: [
    { name: 'ledger.ts', load: () => import('../breakIt/ledger.ts?raw') },
    { name: 'network.ts', load: () => import('../breakIt/network.ts?raw') },
    { name: 'Faults.tsx', load: () => import('../breakIt/Faults.tsx?raw') },
  ],
  notes: [
    { name: 'Notes.tsx', load: () => import('../notes/Notes.tsx?raw') },
    { name: 'notes.ts (server)', load: () => import('../../api/notes.ts?raw') },
  ],
  desk: [
    { name: 'Desk.tsx', load: () => import('../desk/Desk.tsx?raw') },
    { name: 'startDemo.ts (server)', load: () => import('../../startDemo.ts?raw') },
  ],
  account: [
    { name: 'session.ts', load: () => import('../session/session.ts?raw') },
    { name: 'App.tsx', load: () => import('../App.tsx?raw') },
    { name: 'tokens.ts (server)', load: () => import('../../tokens.ts?raw') },
    { name: 'startDemo.ts (server)', load: () => import('../../startDemo.ts?raw') },
  ],
  anyChannel: [
    { name: 'ChannelCard.tsx', load: () => import('../anyChannel/ChannelCard.tsx?raw') },
    { name: 'PublishForm.tsx', load: () => import('../anyChannel/PublishForm.tsx?raw') },
    { name: 'publish.ts (server)', load: () => import('../../api/publish.ts?raw') },
  ],
}

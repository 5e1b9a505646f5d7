/**
 * Rendezvous hashing (highest random weight): ranks nodes for a channel. Every node ranks alike, so the copies of a channel
 * that several nodes hold are on the same nodes. When a node comes or goes, only the channels change their nodes for
 * which it is the first. https://en.wikipedia.org/wiki/Rendezvous_hashing
 */
export class Rendezvous {
  readonly #nodes: readonly (readonly [node: string, hash: number])[]

  constructor(nodes: readonly string[]) {
    this.#nodes = nodes.map((node) => [node, hashOf(node)])
  }

  /** The first `count` nodes for the channel, without those that `isExcluded`. */
  pick(channel: string, count: number, isExcluded: (node: string) => boolean): string[] {
    const ofChannel = hashOf(channel)
    return this.#nodes
      .filter(([node]) => !isExcluded(node))
      .map(([node, hash]) => [mixed(ofChannel ^ Math.imul(hash, 0x9e3779b1)), node] as const)
      .sort(([a], [b]) => b - a)
      .slice(0, count)
      .map(([, node]) => node)
  }
}

/** FNV-1a, over UTF-16 code units. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return mixed(hash)
}

/** The last step of MurmurHash3: each bit of the input changes each bit of the result with the same probability. */
function mixed(hash: number): number {
  let h = hash
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

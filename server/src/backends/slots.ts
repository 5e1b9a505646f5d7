/** The number of slots of a Redis Cluster. https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/ */
export const SLOTS = 16_384

/** The slot of a key in a Redis Cluster: the CRC16 (XMODEM) of the key, or of its hash tag if it has one. */
export function slotOf(key: string): number {
  const open = key.indexOf('{')
  const close = key.indexOf('}', open + 1)
  const hasTag = open >= 0 && close > open + 1
  let crc = 0
  for (const byte of Buffer.from(hasTag ? key.slice(open + 1, close) : key)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = (crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021
    crc &= 0xffff
  }
  return crc % SLOTS
}

const tags = new Map<number, string>()

/** A short hash tag, `{...}`, that puts a name into the slot. */
export function tagOf(slot: number): string {
  const known = tags.get(slot)
  if (known !== undefined) return known
  for (let i = 0; ; i++) {
    const text = i.toString(36)
    if (slotOf(text) !== slot) continue
    const tag = `{${text}}`
    tags.set(slot, tag)
    return tag
  }
}

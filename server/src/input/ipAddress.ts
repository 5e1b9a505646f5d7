import net from 'node:net'

/**
 * The part of an address that identifies one client. For IPv6 this is the /64 prefix, because a host can choose the
 * other 64 bits freely. An IPv4 address inside IPv6 (`::ffff:192.0.2.1`) is treated as IPv4. A port is removed, because
 * some proxies write it into `X-Forwarded-For`. Any other text is returned unchanged, cut to 100 characters.
 */
export function addressKey(text: string): string {
  const address = withoutPort(text.trim())
  if (net.isIPv4(address)) return address
  if (!net.isIPv6(address)) return text.slice(0, MAX_TEXT)
  const groups = groupsOf(address.replace(/%.*/s, ''))
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff
  if (isMapped) return [groups[6]! >> 8, groups[6]! & 255, groups[7]! >> 8, groups[7]! & 255].join('.')
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`
}

/**
 * Whether the address is in a loopback or private network. The application's own proxy has such an address; a browser
 * on the Internet does not.
 */
export function isPrivateAddress(text: string): boolean {
  const key = addressKey(text)
  if (net.isIPv4(key)) return privateAddresses.check(key)
  // The list below has no IPv6 prefix for the loopback address, so it is compared as text. The other addresses match by
  // prefix.
  return text === '::1' || (net.isIPv6(text) && privateAddresses.check(text.replace(/%.*/s, ''), 'ipv6'))
}

const privateAddresses = new net.BlockList()
privateAddresses.addSubnet('127.0.0.0', 8)
privateAddresses.addSubnet('10.0.0.0', 8)
privateAddresses.addSubnet('172.16.0.0', 12)
privateAddresses.addSubnet('192.168.0.0', 16)
// Networks of carriers (100.64.0.0/10), and link-local networks inside some clouds (169.254.0.0/16).
privateAddresses.addSubnet('100.64.0.0', 10)
privateAddresses.addSubnet('169.254.0.0', 16)
privateAddresses.addSubnet('fc00::', 7, 'ipv6')
privateAddresses.addSubnet('fe80::', 10, 'ipv6')

const MAX_TEXT = 100

function withoutPort(text: string): string {
  return /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? /^(\d+(?:\.\d+){3}):\d+$/.exec(text)?.[1] ?? text
}

/** Parses an IPv6 address into its eight groups. */
function groupsOf(address: string): number[] {
  const [head, tail] = address.split('::', 2) as [string, string | undefined]
  const first = readGroups(head)
  if (tail === undefined) return first
  const last = readGroups(tail)
  return [...first, ...Array<number>(8 - first.length - last.length).fill(0), ...last]
}

function readGroups(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const [a, b, c, d] = group.split('.').map(Number) as [number, number, number, number]
    return [a * 256 + b, c * 256 + d]
  })
}

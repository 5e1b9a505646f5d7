import { existsSync } from 'node:fs'
import { spawnSync } from 'node:child_process'

const places = [
  '/usr/lib/nginx/modules',
  '/usr/lib64/nginx/modules',
  '/usr/share/nginx/modules',
  '/etc/nginx/modules',
]

/** Where the nchan module is, or `undefined` if there is no nginx with it on this machine. */
export function nchanModule(): string | undefined {
  if (spawnSync('nginx', ['-v']).error !== undefined) return undefined
  return places.map((place) => `${place}/ngx_nchan_module.so`).find((path) => existsSync(path))
}

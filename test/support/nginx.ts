import { spawnSync } from 'node:child_process'

/** Debian installs it in a directory that is only in the PATH of root. */
const places = ['nginx', '/usr/sbin/nginx', '/usr/local/sbin/nginx']

/** The command for nginx on this machine, if it is installed. */
export function findNginx(): string | undefined {
  return places.find((place) => spawnSync(place, ['-v']).error === undefined)
}

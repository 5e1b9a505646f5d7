import { spawnSync } from 'node:child_process'

/** Debian installs it where only root has its PATH. */
const places = ['nginx', '/usr/sbin/nginx', '/usr/local/sbin/nginx']

/** How to call nginx on this machine, if it is there. */
export function findNginx(): string | undefined {
  return places.find((place) => spawnSync(place, ['-v']).error === undefined)
}

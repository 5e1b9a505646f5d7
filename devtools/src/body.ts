import { el } from './dom.ts'

/** More members of one object or array are not shown. */
export const MAX_MEMBERS = 200
const MAX_PREVIEW = 200

/** A body for reading: JSON as a tree of which everything but the first level is folded, all else as text. */
export function bodyElement(body: string): HTMLElement {
  const value = parse(body)
  if (value === undefined) return el('pre', { class: 'text' }, body)
  return el('div', { class: 'json' }, ...members(value))
}

/** One line of the body. */
export function preview(body: string): string {
  return body.slice(0, MAX_PREVIEW).replaceAll(/\s+/g, ' ')
}

/** The object or array that the body is as JSON. */
function parse(body: string): object | undefined {
  if (!/^\s*[[{]/.test(body)) return undefined
  try {
    return JSON.parse(body) as object
  } catch {
    return undefined
  }
}

function members(value: object): Node[] {
  const entries = Object.entries(value)
  const shown = entries.slice(0, MAX_MEMBERS).map(([key, member]) => memberElement(key, member))
  if (entries.length > MAX_MEMBERS)
    shown.push(el('div', { class: 'soft' }, `${entries.length - MAX_MEMBERS} more`))
  return shown.length > 0 ? shown : [el('div', { class: 'soft' }, Array.isArray(value) ? '[]' : '{}')]
}

function memberElement(key: string, value: unknown): HTMLElement {
  const name = el('span', { class: 'key' }, key)
  if (typeof value !== 'object' || value === null) {
    return el('div', { class: 'member' }, name, ': ', el('span', { class: 'value' }, JSON.stringify(value)))
  }
  const count = Object.keys(value).length
  const size = Array.isArray(value) ? `[${count}]` : `{${count}}`
  const details = el(
    'details',
    { class: 'member' },
    el('summary', {}, name, ': ', el('span', { class: 'soft' }, size)),
  )
  // The members are made when they are needed, because a body may have very many.
  details.addEventListener('toggle', () => details.append(el('div', { class: 'json' }, ...members(value))), {
    once: true,
  })
  return details
}

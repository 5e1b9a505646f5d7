type Attributes = Readonly<Record<string, string | number | boolean | (() => void) | undefined>>

/**
 * Makes an element. A key that begins with `on` adds a listener. Children that are strings are text, never HTML: bodies of messages
 * may come from anybody.
 */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value)
    else set(element, name, value)
  }
  element.append(...children)
  return element
}

/** Sets or removes an attribute. Does nothing if it has that value, so screen readers and styles notice only changes. */
export function set(element: Element, name: string, value: string | number | boolean | undefined): void {
  const text = value === true ? '' : String(value)
  if (value === undefined || value === false) element.removeAttribute(name)
  else if (element.getAttribute(name) !== text) element.setAttribute(name, text)
}

export function setText(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text
}

/**
 * A list whose elements stay the same as long as their items are in it. So the focus, the selection and what is unfolded survive a
 * render.
 */
export class List<Item> {
  readonly #parent: Element
  readonly #make: (item: Item) => Element
  #elements = new Map<Item, Element>()

  constructor(parent: Element, make: (item: Item) => Element) {
    this.#parent = parent
    this.#make = make
  }

  show(items: readonly Item[]): void {
    const elements = new Map<Item, Element>()
    for (const item of items) elements.set(item, this.#elements.get(item) ?? this.#make(item))
    for (const [item, element] of this.#elements) if (!elements.has(item)) element.remove()
    let next = this.#parent.firstElementChild
    for (const element of elements.values()) {
      if (element === next) next = next.nextElementSibling
      else this.#parent.insertBefore(element, next)
    }
    this.#elements = elements
  }
}

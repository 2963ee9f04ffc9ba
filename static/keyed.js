// Lists whose elements stay: one for each key, made once and moved at most.

/** @typedef {{element: HTMLElement, update(item: any, previous: any): void, close?(): void}} Part what stands for one item */

export class Keyed {
  #list
  #keyOf
  #make
  /** @type {Map<string, Part>} by key */
  #parts = new Map()

  /**
   * @param {HTMLElement} list has no other children
   * @param {(item: any) => string} keyOf
   * @param {(item: any) => Part} make
   */
  constructor(list, keyOf, make) {
    this.#list = list
    this.#keyOf = keyOf
    this.#make = make
  }

  /** Shows these items in their order. Each part is told of its item and of the one before. */
  draw(items) {
    const keys = new Set(items.map(this.#keyOf))
    for (const [key, part] of this.#parts) if (!keys.has(key)) this.#drop(key, part)
    let next = this.#list.firstElementChild
    items.forEach((item, i) => {
      const part = this.#partOf(item)
      part.update(item, items[i - 1])
      if (part.element === next) next = next.nextElementSibling
      else this.#list.insertBefore(part.element, next)
    })
  }

  clear() {
    this.draw([])
  }

  #partOf(item) {
    const key = this.#keyOf(item)
    const part = this.#parts.get(key) ?? this.#make(item)
    this.#parts.set(key, part)
    return part
  }

  #drop(key, part) {
    this.#parts.delete(key)
    part.element.remove()
    part.close?.()
  }
}

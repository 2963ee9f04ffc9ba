// What was heard lately, where no number tells whether it is new.

/** Marks that are remembered. */
const KEPT = 256

export class Recent {
  /** @type {Set<string>} in the order in which they came */
  #marks = new Set()

  /**
   * Whether a mark is new; it is not any more.
   *
   * @param {string} mark
   */
  isNew(mark) {
    if (this.#marks.has(mark)) return false
    this.#marks.add(mark)
    if (this.#marks.size > KEPT) this.#marks.delete(/** @type {string} */ (this.#marks.values().next().value))
    return true
  }
}

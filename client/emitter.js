// Events, and who listens to them.

/**
 * Calls those who listen to an event, in the order in which they came.
 *
 * @template {Record<string, any>} Events what is told, by event
 */
export class Emitter {
  /** @type {Map<keyof Events, Set<(value: any) => void>>} */
  #listeners = new Map()

  /**
   * Calls fn with whatever an event tells from now on. It answers the function that undoes it.
   *
   * @template {keyof Events} T
   * @param {T} event
   * @param {(value: Events[T]) => void} fn
   * @returns {() => void}
   */
  on(event, fn) {
    const set = this.#listeners.get(event) ?? new Set()
    const listener = (/** @type {Events[T]} */ value) => fn(value) // the same fn may listen twice
    this.#listeners.set(event, set.add(listener))
    return () => {
      set.delete(listener)
      if (set.size === 0 && this.#listeners.get(event) === set) this.#listeners.delete(event)
    }
  }

  /** Whether anyone listens to anything. */
  get isHeard() {
    return this.#listeners.size > 0
  }

  /**
   * @template {keyof Events} T
   * @param {T} event
   * @param {Events[T]} value
   * @protected
   */
  emit(event, value) {
    const set = this.#listeners.get(event) ?? new Set()
    for (const listener of [...set]) {
      try {
        if (set.has(listener)) listener(value) // one before it may have undone it
      } catch (error) {
        // The listener's mistake is reported as its own, and stops nothing here.
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }
}

// Being somewhere for as long as anyone wants to.

/**
 * Leaving is put off, until what runs now is done: who leaves and comes back at
 * once, as React's components do in StrictMode, has never left.
 */
export class Stay {
  #enter
  #leave
  #refused
  #wanted = 0
  /** @type {object | undefined} the entering that counts, under way or done */
  #entry
  /** @type {any} */
  #timer

  /**
   * @param {() => Promise<any>} enter where it rejects, there is nothing to leave
   * @param {() => Promise<any>} leave
   * @param {(error: any) => void} [refused] is told why it could not enter
   */
  constructor(enter, leave, refused = () => {}) {
    this.#enter = enter
    this.#leave = leave
    this.#refused = refused
  }

  /** Wants to be there, until the function that it answers is called. */
  take() {
    this.#wanted++
    clearTimeout(this.#timer)
    this.retry()
    return () => this.#release()
  }

  /** Enters where it is wanted, unless it has, or is about to. */
  retry() {
    if (this.#wanted === 0 || this.#entry) return
    const entry = (this.#entry = {})
    this.#enter().catch((error) => {
      if (entry !== this.#entry) return // it has left meanwhile
      this.#entry = undefined
      this.#refused(error)
    })
  }

  #release() {
    if (--this.#wanted > 0) return
    this.#timer = setTimeout(() => {
      if (!this.#entry) return
      this.#entry = undefined
      this.#leave().catch(() => {}) // it is left alone all the same
    }, 0)
  }
}

// What a client has to send again after it has come back: a little at a time,
// since all of it at once could be over the rate limit.

import { BusyError, ConnectionError, RateLimitError } from './errors.js'

/** Tasks that run at the same time. */
const WIDTH = 4

/** @typedef {{task: () => Promise<any>, resolve: (value: any) => void, reject: (error: any) => void}} Entry */

export class Lane {
  /** @type {Entry[]} */
  #waiting = []
  #running = 0
  /** @type {any} set while the server has asked to wait */
  #pause
  #pace
  #gap = 0 // ms from one task to the next, once the server has refused one
  #until = 0 // when that ends, by performance.now()
  #round = 0 // of connections: what a past one asked for does not count

  /** @param {() => number} pace how many ms apart tasks are never over the rate limit */
  constructor(pace) {
    this.#pace = pace
  }

  /**
   * Runs a task when its turn comes, and again as long as the server asks to
   * wait. It rejects with any other error, and when the lane is cleared.
   *
   * @template T
   * @param {() => Promise<T>} task
   * @returns {Promise<T>}
   */
  run(task) {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ task, resolve, reject })
      this.#advance()
    })
  }

  /** Lets go of what has not begun. */
  clear() {
    this.#round++
    clearTimeout(this.#pause)
    this.#pause = undefined
    for (const { reject } of this.#waiting.splice(0)) reject(new ConnectionError('disconnected', 'the connection was lost'))
  }

  /**
   * Begins nothing for a while: for the longest that was asked for.
   *
   * @param {number} ms
   */
  wait(ms) {
    const until = performance.now() + ms
    if (this.#pause && until <= this.#until) return
    this.#until = until
    clearTimeout(this.#pause)
    this.#pause = setTimeout(() => {
      this.#pause = undefined
      if (this.#running === 0 && this.#waiting.length === 0) this.#gap = 0 // it has caught up
      this.#advance()
    }, ms)
  }

  #advance() {
    while (!this.#pause && this.#running < WIDTH && this.#waiting.length > 0) {
      this.#begin(/** @type {Entry} */ (this.#waiting.shift()))
      if (this.#gap > 0) this.wait(this.#gap)
    }
  }

  /** @param {Entry} entry */
  async #begin(entry) {
    const [round, gap] = [this.#round, this.#gap]
    this.#running++
    try {
      entry.resolve(await entry.task())
      this.#gap = this.#gap && Math.max(this.#pace(), this.#gap / 2)
    } catch (error) {
      const isToWait = error instanceof RateLimitError || error instanceof BusyError
      if (isToWait && round === this.#round) this.#again(entry, error.retryAfterMs, gap)
      else entry.reject(error)
    } finally {
      this.#running--
      this.#advance()
    }
  }

  /**
   * From now on tasks keep apart: one refusal each would be too many, and the server
   * closes the connection of who is refused too often.
   *
   * @param {Entry} entry
   * @param {number} retryAfterMs
   * @param {number} gap that there was when it began
   */
  #again(entry, retryAfterMs, gap) {
    this.#waiting.unshift(entry)
    this.#gap = Math.max(this.#gap, this.#pace(), gap && gap + retryAfterMs)
    this.wait(retryAfterMs)
  }
}

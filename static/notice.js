// What did not work, in words, for a while. Where it says how long to wait, it
// counts down and goes when that is over.

import { COUNT_EVERY, count, writeCounting } from '/counting.js'
import { byId } from '/dom.js'
import { sayError } from '/words.js'

// In ms.
const STAYS = 7_000
const SHORTEST = 1_000 // or nobody could read it

export class Notice {
  #error = null
  #endsAt = 0 // by performance.now(), in ms

  constructor(scope) {
    scope.every(COUNT_EVERY, () => this.#count())
    scope.add(() => this.clear())
  }

  tell(error) {
    this.#error = error
    this.#endsAt = performance.now() + Math.max(error.retryAfterMs ?? STAYS, SHORTEST)
    this.draw()
  }

  clear() {
    this.#error = null
    this.draw()
  }

  draw() {
    if (this.#error) writeCounting(byId('notice'), (n) => sayError(this.#error, n), this.#secondsLeft)
    else byId('notice').replaceChildren()
  }

  #count() {
    if (!this.#error) return
    if (performance.now() >= this.#endsAt) this.clear()
    else count(byId('notice'), this.#secondsLeft)
  }

  get #secondsLeft() {
    return Math.max(1, Math.ceil((this.#endsAt - performance.now()) / 1000))
  }
}

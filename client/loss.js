// What a person is told of a connection that comes and goes: nothing for blips.

/** How long a connection may be away before anyone is told, in ms. */
const BLIP = 5_000

/** @typedef {'lost' | 'restored' | 'failed'} LostConnection */

export class Loss {
  /** @type {any} runs while the connection is away and nobody was told */
  #timer
  #isTold = false
  #tell

  /** @param {(what: LostConnection) => void} tell */
  constructor(tell) {
    this.#tell = tell
  }

  /** @param {import('./connection.js').StatusChange} change */
  heed({ previous, current }) {
    if (previous === 'connected') this.#timer = setTimeout(() => this.#lost(), BLIP)
    if (current !== 'connecting' && current !== 'reconnecting') this.#over(current)
  }

  #lost() {
    this.#timer = undefined
    this.#isTold = true
    this.#tell('lost')
  }

  /** @param {import('./connection.js').Status} current */
  #over(current) {
    const [isAway, isTold] = [this.#timer !== undefined || this.#isTold, this.#isTold]
    clearTimeout(this.#timer)
    this.#timer = undefined
    this.#isTold = false
    if (current === 'connected' && isTold) this.#tell('restored')
    if (current === 'failed' && isAway) this.#tell('failed')
  }
}
